"""Batch samplers for streams."""

from .passes import cbgs_pass
from .scene_shard import SceneShardSampler
from .streaming import StreamingBatchSampler

__all__ = ["SceneShardSampler", "StreamingBatchSampler", "cbgs_pass"]
