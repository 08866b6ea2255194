"""View transformers: image features to a volume."""

from .depth_net import CameraAwareDepthNet, DepthEstimate
from .depth_splat import DepthSplat
from .geometry_fusion import GeometryFusion, GeometryMemory
from .inter_object_transfer import InterObjectTransfer, TransferredMass
from .intra_object_transfer import IntraObjectTransfer
from .lifting import HardPooling, SoftFilling
from .stereo import StereoCostVolume

__all__ = [
    "CameraAwareDepthNet",
    "DepthEstimate",
    "DepthSplat",
    "GeometryFusion",
    "GeometryMemory",
    "HardPooling",
    "InterObjectTransfer",
    "IntraObjectTransfer",
    "SoftFilling",
    "StereoCostVolume",
    "TransferredMass",
]
