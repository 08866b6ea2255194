"""Models. Importing this package registers every class that a config can name."""

from . import heads, image_encoders, losses, temporal, view_transformers, volume_encoders
from .network import OccupancyNetwork
from .occupancy_model import OccupancyModel
from .preprocessor import ImagePreprocessor

__all__ = [
    "ImagePreprocessor",
    "OccupancyModel",
    "OccupancyNetwork",
    "heads",
    "image_encoders",
    "losses",
    "temporal",
    "view_transformers",
    "volume_encoders",
]
