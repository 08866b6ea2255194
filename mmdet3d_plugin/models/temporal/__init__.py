"""Stages that fuse a volume with the past."""

from .concat_history import ConcatHistory, HistoryMemory
from .no_fusion import NoFusion

__all__ = ["ConcatHistory", "HistoryMemory", "NoFusion"]
