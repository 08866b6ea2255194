"""OccStudio: camera-based 3D semantic occupancy and occupancy-flow prediction.

Importing the package imports nothing else: `mmdet3d_plugin.evaluation` must work where only numpy and torch
are installed. Registered classes are imported by the registries on first use (see `registry.py`).
"""

import os

from .version import __version__

# Idle OpenMP threads sleep instead of spinning: where loader processes share the cores, spinning makes a
# training step on a CPU several times slower. PyTorch reads this when it is first imported; the user's value wins.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__all__ = ["__version__"]
