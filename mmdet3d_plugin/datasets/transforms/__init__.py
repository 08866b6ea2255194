"""Augmentations of images and scenes, and targets in the images."""

from .depth import DepthMaps
from .history import ImageHistory
from .image import ImageParameters, ImagePipeline, crop_from_pixel
from .scene import SceneAugmentation, transform_labels

__all__ = [
    "DepthMaps",
    "ImageHistory",
    "ImageParameters",
    "ImagePipeline",
    "SceneAugmentation",
    "crop_from_pixel",
    "transform_labels",
]
