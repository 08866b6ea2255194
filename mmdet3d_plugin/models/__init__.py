"""Models. Importing this package registers every class that a config can name."""

from . import heads, image_encoders, losses, temporal, view_transformers, volume_encoders
from .network import OccupancyNetwork

__all__ = ["OccupancyNetwork", "heads", "image_encoders", "losses", "temporal", "view_transformers", "volume_encoders"]
