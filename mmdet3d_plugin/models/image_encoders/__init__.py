"""Image encoders: frame to feature levels."""

from .image_encoder import ImageEncoder
from .resnet import ResNet
from .top_down_neck import TopDownNeck

__all__ = ["ImageEncoder", "ResNet", "TopDownNeck"]
