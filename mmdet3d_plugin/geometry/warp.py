"""Warping a volume of an earlier frame into the current one (spec/04 section 4.1)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..structures import VoxelGrid
from ..structures.grid import Anchor

REFERENCE_HEIGHT = 1.0  # metres; where published bird's-eye-view models place their only slab (spec/04 section 4.1)


def metres_from_warp_index(grid: VoxelGrid, anchor: Anchor) -> Tensor:
    """A of spec/04: voxel indices (ix, iy, iz, 1) to metres, [4, 4] float64.

    With `anchor` "corner" the single slab of a bird's-eye view lies at a height of one metre, whatever its
    bounds. (Spec/04 fixes iz = 1 in units of metres there; iz = 0 with the metre as offset is the same map.)
    """
    matrix = grid.metric_from_index(anchor)
    if grid.is_bev and anchor == "corner":
        matrix[2, 2], matrix[2, 3] = 1.0, REFERENCE_HEIGHT
    return matrix


def warp_index_matrix(
    grid: VoxelGrid,
    prev_grid_from_ego: Tensor,
    prev_from_ego: Tensor,
    grid_from_ego: Tensor,
    anchor: Anchor = "center",
) -> Tensor:
    """Where in the previous volume the content of each current voxel lies.

    R = A^-1 . G_prev . T . G_cur^-1 . A, with A the map from indices to metres (spec/04 section 4.1).
    Augmentations are drawn per frame, so R undoes flips and rotations of the past.

    Args:
        grid: the grid of both volumes.
        prev_grid_from_ego: [B, 4, 4] scene augmentation of the previous frame, G_prev.
        prev_from_ego: [B, 4, 4] motion, T, metres.
        grid_from_ego: [B, 4, 4] scene augmentation of the current frame, G_cur.
        anchor: where in its voxel an index sits: "center" for pooled features, "corner" for splatted ones
            and, as published, for all (spec/99 A7).

    Returns:
        [B, 4, 4] previous index from current index, on column vectors (ix, iy, iz, 1); float32, composed in
        float64.
    """
    metres = metres_from_warp_index(grid, anchor).to(prev_from_ego.device)
    motion = prev_grid_from_ego.double() @ prev_from_ego.double() @ torch.linalg.inv(grid_from_ego.double())
    return (torch.linalg.inv(metres) @ motion @ metres).float()


def warp_locations(matrix: Tensor, zyx: tuple[int, int, int]) -> Tensor:
    """p = R q for every voxel q.

    Args:
        matrix: [B, 4, 4] of :func:`warp_index_matrix`.
        zyx: (Z, Y, X).

    Returns:
        [B, Z, Y, X, 3] sampling location (x, y, z) in the previous volume, in index units.
    """
    z, y, x = (torch.arange(n, device=matrix.device, dtype=matrix.dtype) for n in zyx)
    # R is affine: three outer sums instead of a product per voxel.
    columns = [coordinate[:, None] * matrix[:, None, :3, axis] for axis, coordinate in enumerate((x, y, z))]
    along_x, along_y, along_z = columns
    return (
        along_z[:, :, None, None]
        + along_y[:, None, :, None]
        + along_x[:, None, None, :]
        + matrix[:, None, None, None, :3, 3]
    )


def sample_volume(features: Tensor, locations: Tensor) -> Tensor:
    """Interpolate a volume linearly at index locations; zero outside of it.

    Args:
        features: [B, C, Z, Y, X]. Where Z == 1 the z coordinate is ignored.
        locations: [B, Z', Y', X', 3] (x, y, z) in index units: integer = centre of the sample.

    Returns:
        [B, C, Z', Y', X'] in the dtype of `features`. Coordinates stay float32, also under autocast.
    """
    sizes = features.shape[:1:-1]
    scale = locations.new_tensor([2 / max(size - 1, 1) for size in sizes])
    normalised = locations * scale - 1
    with torch.autocast(features.device.type, enabled=False):
        source = features.to(torch.promote_types(features.dtype, locations.dtype))
        if features.shape[2] == 1:
            planes = F.grid_sample(
                source[:, :, 0],
                normalised[..., :2].flatten(1, 2).to(source.dtype),
                mode="bilinear",
                padding_mode="zeros",
                align_corners=True,
            )
            sampled = planes.unflatten(2, locations.shape[1:3])
        else:
            sampled = F.grid_sample(
                source, normalised.to(source.dtype), mode="bilinear", padding_mode="zeros", align_corners=True
            )
    return sampled.to(features.dtype)


def warp_volume(features: Tensor, matrix: Tensor) -> Tensor:
    """Resample a volume of the previous frame on the voxels of the current one (spec/04 section 4.1).

    Args:
        features: [B, C, Z, Y, X] of the previous frame.
        matrix: [B, 4, 4] of :func:`warp_index_matrix`.

    Returns:
        [B, C, Z, Y, X]; what was not seen before is zero.
    """
    depth, height, width = features.shape[2:]
    return sample_volume(features, warp_locations(matrix, (depth, height, width)))
