"""Annotations of voxels, one small class per format on disk."""

from .base import KeyFrameName, LabelSet, LabelVolume
from .occ3d import Occ3DLabels
from .openocc import OpenOccLabels
from .sparse import OpenOccupancyLabels, SurroundOccLabels

__all__ = [
    "KeyFrameName",
    "LabelSet",
    "LabelVolume",
    "Occ3DLabels",
    "OpenOccLabels",
    "OpenOccupancyLabels",
    "SurroundOccLabels",
]
