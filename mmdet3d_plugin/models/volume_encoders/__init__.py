"""Stages that refine a volume, before or after it is fused with the past."""

from .bev_encoder import BevEncoder
from .residual import ResidualStem2d, ResidualStem3d
from .voxel_encoder import VoxelEncoder3d

__all__ = ["BevEncoder", "ResidualStem2d", "ResidualStem3d", "VoxelEncoder3d"]
