"""Pure functions on frames, cameras and grids. `transforms` is the NumPy float64 side of the data, the rest
is torch."""

from .frustum import frustum, lift_frustum
from .per_rig import PerRig
from .warp import sample_volume, warp_index_matrix, warp_locations, warp_volume

__all__ = [
    "PerRig",
    "frustum",
    "lift_frustum",
    "sample_volume",
    "warp_index_matrix",
    "warp_locations",
    "warp_volume",
]
