"""Terms of the training loss; each returns named scalars."""

from .depth import DepthBinaryCrossEntropy, DepthCrossEntropy
from .flow import FlowLoss
from .image_semantics import ImageSemanticsLoss
from .lovasz import LovaszSoftmax
from .mask import MaskCriterion, MaskLoss
from .point_sampler import PointSampler
from .scene_class_affinity import SceneClassAffinity
from .voxel import VoxelCrossEntropy

__all__ = [
    "DepthBinaryCrossEntropy",
    "DepthCrossEntropy",
    "FlowLoss",
    "ImageSemanticsLoss",
    "LovaszSoftmax",
    "MaskCriterion",
    "MaskLoss",
    "PointSampler",
    "SceneClassAffinity",
    "VoxelCrossEntropy",
]
