"""A small analytic driving world, written in the formats of nuScenes (spec/data/synthetic.md).

Everything is a function of (scene, time, pose): images, lidar, boxes, voxel labels, flow and masks. Nothing is compiled
at import; the Numba kernels compile on their first call and are cached on disk.
"""

from .create import create_world
from .scene import World
from .sensors import LidarFlaws

__all__ = ["LidarFlaws", "World", "create_world"]
