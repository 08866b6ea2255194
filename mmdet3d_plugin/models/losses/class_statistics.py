"""How often each class occurs in the training labels, and the weights that follow (spec/07 section 7.1)."""

from __future__ import annotations

import torch
from torch import Tensor

from ...errors import ConfigError
from ...structures import OCC3D_WAYMO, ClassChannels, LabelSpace

# Voxels of each class in the Occ3D-nuScenes training labels.
_NUSCENES_VOXELS = {
    "others": 944004,
    "barrier": 1897170,
    "bicycle": 152386,
    "bus": 2391677,
    "car": 16957802,
    "construction_vehicle": 724139,
    "motorcycle": 189027,
    "pedestrian": 2074468,
    "traffic_cone": 413451,
    "trailer": 2384460,
    "truck": 5916653,
    "driveable_surface": 175883646,
    "other_flat": 4275424,
    "sidewalk": 51393615,
    "terrain": 61411620,
    "manmade": 105975596,
    "vegetation": 116424404,
    "free": 1892500630,
}
# Voxels of each class in the Occ3D-Waymo training labels, in the order of their ids. Spec/07 writes ten
# times as many poles and tree trunks, which contradicts the class weights that it gives for them.
_WAYMO_VOXELS = (
    1.2056e8, 5.143e8, 4.594e7, 1.01e7, 1.678e6, 3.700e6, 6.25e7, 2.697e6,
    1.177e6, 2.351e5, 1.655e9, 1.882e9, 8.175e7, 1.842e9, 1.001e9, 9.395e10,
)  # fmt: skip
_RARITY_POWER = 0.25


def voxel_counts(space: LabelSpace) -> Tensor:
    """Voxels of each class of a label space in the training labels, [num_classes] float64.

    Raises:
        ConfigError: the label space has a class whose frequency is not known.
    """
    if space == OCC3D_WAYMO:
        return torch.tensor(_WAYMO_VOXELS, dtype=torch.float64)
    unknown = [name for name in space.classes if name not in _NUSCENES_VOXELS]
    if unknown:
        raise ConfigError(
            f"no voxel counts are known for {', '.join(unknown)} of {space.name}",
            fix="add the counts to mmdet3d_plugin/models/losses/class_statistics.py",
        )
    return torch.tensor([_NUSCENES_VOXELS[name] for name in space.classes], dtype=torch.float64)


def _per_channel(values: Tensor, channels: ClassChannels) -> Tensor:
    void = values.new_zeros(int(channels.void))
    return torch.cat((void, values)).float()


def class_weights(channels: ClassChannels) -> Tensor:
    """Weight of each class in a loss, [K] float32: (1 / ln(f + 1e-3)) relative to that of the first class.

    f is the number of voxels of the class; the void channel weighs 0.
    """
    inverse = 1.0 / torch.log(voxel_counts(channels.space) + 1e-3)
    return _per_channel(inverse / inverse[0], channels)


def sampling_weights(channels: ClassChannels) -> Tensor:
    """Weight of a voxel of each class when points are drawn, [K] float32: (f_max / f)^0.25; void is 0."""
    counts = voxel_counts(channels.space)
    return _per_channel((counts.max() / counts) ** _RARITY_POWER, channels)
