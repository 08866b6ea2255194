"""Voxel labels and visibility masks of a scene (spec/data/synthetic.md sections 5 and 6)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...structures import VoxelGrid
from .road import Ground
from .sensors import Camera
from .solids import Solids, transform
from .voxels import hollow, mark_rays, paint_ground, paint_solids

FREE = 255
"""Lidarseg class of a free voxel in :class:`VoxelLabels`."""
MASK_SPACING = 0.2
"""Camera mask rays are at most about this far apart at 57 m, the far corner of the Occ3D grid (metres)."""


@dataclass(frozen=True)
class VoxelLabels:
    """Labels of a grid, axes [X, Y, Z] as on disk.

    Attributes:
        class_id: [X, Y, Z] uint8 lidarseg ids, 255 = free.
        instance: [X, Y, Z] int32, 0 for what has no annotation, else 1 + index of the object.
        flow: [X, Y, Z, 2] float32 velocity of the annotated object that owns the voxel along the grid's x and y axes,
            relative to the world (not to the ego vehicle), m/s; 0 elsewhere.
    """

    class_id: np.ndarray
    instance: np.ndarray
    flow: np.ndarray

    @property
    def occupied(self) -> np.ndarray:
        """[X, Y, Z] bool."""
        return self.class_id != FREE


def voxelise(
    solids: Solids,
    order: np.ndarray,
    category: np.ndarray,
    annotated: np.ndarray,
    velocity: np.ndarray,
    ground: Ground,
    global_from_frame: np.ndarray,
    grid: VoxelGrid,
) -> VoxelLabels:
    """Label a grid: any overlap of more than 5 cm, surfaces only, important things over less important ones.

    Args:
        solids: P solids, global frame, metres.
        order: [P] indices of the solids, least important first.
        category: [O] lidarseg ids of the objects.
        annotated: [O] bool, objects with an annotation box.
        velocity: [O, 2] global velocity of the objects, m/s.
        ground: the ground.
        global_from_frame: [4, 4] pose of the frame of the grid; it may be tilted (the lidar is).
        grid: which voxels.
    """
    lower, step = np.array(grid.lower, np.float64), np.array(grid.voxel_size, np.float64)
    owner = np.full(grid.shape, -1, np.int32)
    class_id = np.full(grid.shape, FREE, np.uint8)
    paint_ground(ground, global_from_frame, lower, step, class_id, owner)
    deep = paint_solids(solids, order, global_from_frame, lower, step, owner)
    hollow(owner, deep, global_from_frame, lower, step)
    class_id[owner == -1] = FREE
    solid = owner >= 0
    class_id[solid] = category[owner[solid]]
    instance = np.zeros(grid.shape, np.int32)
    instance[solid] = np.where(annotated[owner[solid]], owner[solid] + 1, 0)
    flow = np.zeros((*grid.shape, 2), np.float32)
    marked = instance > 0
    flow[marked] = (velocity @ global_from_frame[:2, :2])[instance[marked] - 1]
    return VoxelLabels(class_id, instance, flow)


def ray_mask(occupied: np.ndarray, grid: VoxelGrid, origins: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Voxels that rays pass, up to and including the first occupied one.

    Args:
        occupied: [X, Y, Z] bool.
        grid: where the voxels are.
        origins: [K, 3] metres, frame of the grid.
        directions: [R, 3] the same for every origin, or [K, R, 3].

    Returns:
        [X, Y, Z] bool.
    """
    seen = np.zeros(occupied.shape, np.bool_)
    lower, step = np.array(grid.lower, np.float64), np.array(grid.voxel_size, np.float64)
    for k, origin in enumerate(np.asarray(origins, np.float64)):
        rays = directions[k] if directions.ndim == 3 else directions
        mark_rays(occupied, lower, step, origin, np.ascontiguousarray(rays, np.float64), seen)
    return seen


def camera_rays(camera: Camera) -> np.ndarray:
    """Directions of the pixels that the camera mask casts, camera frame: [R, 3] with unit z."""
    step = max(1, round(MASK_SPACING * camera.intrinsics[0, 0] / 57.0))
    u, v = np.meshgrid(np.arange(0, camera.size[0], step), np.arange(0, camera.size[1], step))
    k = camera.intrinsics
    return np.stack(((u - k[0, 2]) / k[0, 0], (v - k[1, 2]) / k[1, 1], np.ones(u.shape)), -1).reshape(-1, 3)


def camera_mask(
    occupied: np.ndarray, grid: VoxelGrid, cameras: tuple[Camera, ...], frame_from_cam: tuple[np.ndarray, ...]
) -> np.ndarray:
    """Voxels that the pixels of any camera see in the label grid: [X, Y, Z] bool.

    Args:
        occupied: [X, Y, Z] bool.
        grid: where the voxels are.
        cameras: calibration.
        frame_from_cam: [4, 4] pose of every camera, at its own time, in the frame of the grid.
    """
    seen = np.zeros(occupied.shape, np.bool_)
    for camera, pose in zip(cameras, frame_from_cam):
        seen |= ray_mask(occupied, grid, pose[None, :3, 3], transform(pose[:3, :3], camera_rays(camera)))
    return seen
