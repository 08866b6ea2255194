"""Data sets: key frames of driving logs with cameras, lidar and occupancy labels."""

from .base import OccDataset
from .collate import collate, init_worker
from .labels import LabelSet, LabelVolume
from .nuscenes import NuScenesOccDataset
from .randomness import SampleRequest
from .sample import Sample
from .samplers import SceneShardSampler, StreamingBatchSampler
from .transforms import DepthMaps, ImagePipeline, SceneAugmentation
from .waymo import WaymoOccDataset

__all__ = [
    "DepthMaps",
    "ImagePipeline",
    "LabelSet",
    "LabelVolume",
    "NuScenesOccDataset",
    "OccDataset",
    "Sample",
    "SampleRequest",
    "SceneAugmentation",
    "SceneShardSampler",
    "StreamingBatchSampler",
    "WaymoOccDataset",
    "collate",
    "init_worker",
]
