"""Stages that fuse a volume with the past."""

from .concat_history import ConcatHistory, HistoryMemory
from .gdfusion import GDFusion, GDFusionMemory
from .motion_memory import MotionField, MotionMemory
from .no_fusion import NoFusion
from .scene_memory import SceneAdapter, SceneMemory
from .voxel_memory import RecurrentFusion, VoxelMemory

__all__ = [
    "ConcatHistory",
    "GDFusion",
    "GDFusionMemory",
    "HistoryMemory",
    "MotionField",
    "MotionMemory",
    "NoFusion",
    "RecurrentFusion",
    "SceneAdapter",
    "SceneMemory",
    "VoxelMemory",
]
