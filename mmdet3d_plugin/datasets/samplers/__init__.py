"""Batch samplers for streams."""

from .scene_shard import SceneShardSampler
from .streaming import StreamingBatchSampler

__all__ = ["SceneShardSampler", "StreamingBatchSampler"]
