"""Stages that classify a volume."""

from .prototype_mask_head import PrototypeMaskHead
from .voxel_classifier import VoxelClassifier

__all__ = ["PrototypeMaskHead", "VoxelClassifier"]
