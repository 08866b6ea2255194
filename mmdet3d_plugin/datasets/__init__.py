"""Data sets: key frames of driving logs with cameras, lidar and occupancy labels."""

from .base import OccDataset
from .collate import collate, init_worker
from .labels import LabelSet, LabelVolume
from .nuscenes import NuScenesOccDataset
from .nuscenes_history import NuScenesHistoryDataset
from .randomness import SampleRequest
from .sample import Sample
from .samplers import SceneShardSampler, StreamingBatchSampler
from .transforms import DepthMaps, ImageHistory, ImagePipeline, SceneAugmentation
from .waymo import WaymoOccDataset

__all__ = [
    "DepthMaps",
    "ImageHistory",
    "ImagePipeline",
    "LabelSet",
    "LabelVolume",
    "NuScenesHistoryDataset",
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
