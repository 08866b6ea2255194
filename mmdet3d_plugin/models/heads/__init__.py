"""Stages that classify a volume."""

from .cost_volume_flow import CostVolumeFlow, FlowMemory
from .prototype_mask_head import PrototypeMaskHead
from .voxel_classifier import VoxelClassifier

__all__ = ["CostVolumeFlow", "FlowMemory", "PrototypeMaskHead", "VoxelClassifier"]
