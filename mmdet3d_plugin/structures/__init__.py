"""The dataclasses that travel between the stages (design: one straight line from sample to metric)."""

from .camera import CameraRig
from .frame import AdjacentImages, Frame, FrameMeta, PastImages, VolumeFrame
from .grid import VoxelGrid
from .labels import (
    IGNORE,
    LABEL_SPACES,
    OCC3D_NUSCENES,
    OCC3D_WAYMO,
    OPENOCC,
    OPENOCCUPANCY,
    SURROUNDOCC,
    ClassChannels,
    LabelSpace,
    label_space,
    register_label_space,
)
from .memory import Memory, TemporalState
from .prediction import OccLabels, OccOutput, OccPrediction
from .record import TensorRecord
from .stream import StreamOrder
from .targets import OccBatch, OccTargets
from .volume import DepthAux, Lifted, Volume

__all__ = [
    "IGNORE",
    "LABEL_SPACES",
    "OCC3D_NUSCENES",
    "OCC3D_WAYMO",
    "OPENOCC",
    "OPENOCCUPANCY",
    "SURROUNDOCC",
    "AdjacentImages",
    "CameraRig",
    "ClassChannels",
    "DepthAux",
    "Frame",
    "FrameMeta",
    "LabelSpace",
    "Lifted",
    "Memory",
    "OccBatch",
    "OccLabels",
    "OccOutput",
    "OccPrediction",
    "OccTargets",
    "PastImages",
    "StreamOrder",
    "TemporalState",
    "TensorRecord",
    "Volume",
    "VolumeFrame",
    "VoxelGrid",
    "label_space",
    "register_label_space",
]
