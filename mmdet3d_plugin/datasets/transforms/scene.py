"""Scene augmentation: flips and rotation of volume, labels and rig (spec/data/pipelines sections 2, 5.1)."""

from __future__ import annotations

import numpy as np

from ...errors import ConfigError
from ...registry import TRANSFORMS
from ...structures import IGNORE, VoxelGrid
from ..labels.base import LabelVolume


@TRANSFORMS.register_module()
class SceneAugmentation:
    """Random flips and rotation about the z axis: rotate first, then flip.

    Args:
        flip_x, flip_y: probability of negating the x or y coordinate.
        rotation: largest rotation, radians.

    Raises:
        ConfigError: a probability outside of [0, 1].
    """

    def __init__(self, flip_x: float = 0.5, flip_y: float = 0.5, rotation: float = 0.0):
        if not (0 <= flip_x <= 1 and 0 <= flip_y <= 1):
            raise ConfigError("flip probabilities lie in [0, 1]", found=(flip_x, flip_y))
        self.flip_x = flip_x
        self.flip_y = flip_y
        self.rotation = rotation

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """`grid_from_ego`, [4, 4] float64: F_x F_y R_z, a map of the volume frame onto the augmented one."""
        flips = np.where(rng.random(2) < (self.flip_x, self.flip_y), -1.0, 1.0)
        angle = rng.uniform(-self.rotation, self.rotation)
        c, s = np.cos(angle), np.sin(angle)
        matrix = np.eye(4)
        matrix[:2, :2] = np.diag(flips) @ np.array([[c, -s], [s, c]])
        return matrix


def transform_labels(labels: LabelVolume, grid: VoxelGrid, grid_from_ego: np.ndarray) -> LabelVolume:
    """Labels as they are in the augmented volume frame.

    Every voxel takes the label of the voxel that holds the pre-image of its centre, which is exact for flips
    of a grid that is symmetric about the origin. Voxels whose pre-image is outside have no label (255,
    unobserved, inf). Flow vectors turn and grow with the scene (spec/data/defects F13).

    Args:
        labels: arrays over [Z, Y, X].
        grid: where the voxels are.
        grid_from_ego: [4, 4] rotation and flips about the z axis, and a scale of all three axes.
    """
    (nx, ny, nz), (x0, y0, z0), (dx, dy, dz) = grid.shape, grid.lower, grid.voxel_size
    linear = grid_from_ego[:2, :2]
    y, x = np.meshgrid(y0 + dy * (np.arange(ny) + 0.5), x0 + dx * (np.arange(nx) + 0.5), indexing="ij")
    source = np.einsum("ij,jyx->iyx", np.linalg.inv(linear), np.stack((x, y)))
    column = np.floor((source[0] - x0) / dx).astype(np.int64)
    row = np.floor((source[1] - y0) / dy).astype(np.int64)
    inside = (column >= 0) & (column < nx) & (row >= 0) & (row < ny)
    flat = np.where(inside, row * nx + column, 0)
    level = np.floor(((z0 + dz * (np.arange(nz) + 0.5)) / grid_from_ego[2, 2] - z0) / dz).astype(np.int64)
    within = (level >= 0) & (level < nz)

    def moved(volume: np.ndarray, outside: int | float | bool) -> np.ndarray:
        if grid_from_ego[2, 2] != 1:
            volume = volume[..., np.where(within, level, 0), :, :]
        result = volume.reshape(*volume.shape[:-2], ny * nx)[..., flat]
        result[..., ~inside] = outside
        result[..., ~within, :, :] = outside
        return result

    flow = None
    if labels.flow is not None:
        flow = moved(labels.flow, np.inf)
        labelled = np.isfinite(flow).all(axis=0)
        turned = np.einsum("ij,jzyx->izyx", linear, np.where(labelled, flow, 0.0))
        flow = np.where(labelled, turned, np.inf).astype(np.float32)
    return LabelVolume(
        occupancy=moved(labels.occupancy, IGNORE),
        mask_camera=None if labels.mask_camera is None else moved(labels.mask_camera, False),
        mask_lidar=None if labels.mask_lidar is None else moved(labels.mask_lidar, False),
        flow=flow,
    )
