"""Image encoders: frame to feature levels."""

from .image_encoder import ImageEncoder
from .intern_image import InternImage
from .resnet import ResNet
from .swin_transformer import SwinTransformer
from .top_down_neck import TopDownNeck

__all__ = ["ImageEncoder", "InternImage", "ResNet", "SwinTransformer", "TopDownNeck"]
