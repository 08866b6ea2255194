"""Data sets: key frames of driving logs with cameras, lidar and occupancy labels."""

from .collate import collate, init_worker
from .labels import LabelSet, LabelVolume
from .nuscenes import NuScenesOccDataset
from .randomness import SampleRequest
from .sample import Sample
from .samplers import SceneShardSampler, StreamingBatchSampler
from .transforms import DepthMaps, ImagePipeline, SceneAugmentation

__all__ = [
    "DepthMaps",
    "ImagePipeline",
    "LabelSet",
    "LabelVolume",
    "NuScenesOccDataset",
    "Sample",
    "SampleRequest",
    "SceneAugmentation",
    "SceneShardSampler",
    "StreamingBatchSampler",
    "collate",
    "init_worker",
]
