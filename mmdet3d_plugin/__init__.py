"""OccStudio: camera-based 3D semantic occupancy and occupancy-flow prediction.

Importing the package imports nothing else: `mmdet3d_plugin.evaluation` must work where only numpy and torch are
installed. Registered classes are imported by the registries on first use (see `registry.py`).
"""

from .version import __version__

__all__ = ["__version__"]
