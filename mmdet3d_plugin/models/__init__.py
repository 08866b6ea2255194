"""Models. Importing this package registers every class that a config can name."""

from . import heads, image_encoders, losses, temporal, view_transformers, volume_encoders
from .network import OccupancyNetwork
from .preprocessor import ImagePreprocessor

__all__ = [
    "ImagePreprocessor",
    "OccupancyNetwork",
    "heads",
    "image_encoders",
    "losses",
    "temporal",
    "view_transformers",
    "volume_encoders",
]
