"""What the two lifting ops share: weighted points of image frusta, summed into voxels.

Every feature pixel is the origin of D points, one per depth bin. A point carries the context vector of its
pixel times its own scalar weight; both ops are a sum of such points over voxels and differ in which voxels a
point belongs to.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

Shape = tuple[int, int, int]


def check_points(context: Tensor, weights: Tensor, index: Tensor, shape: Shape) -> None:
    """Refuse inputs that do not belong together.

    Args:
        context: [B, N, C, h, w].
        weights: [B, N, D, h, w].
        index: [B, N, D, h, w, 3].
        shape: (Z, Y, X).

    Raises:
        ValueError: names the tensor, its shape and the shape expected.
    """
    if context.dim() != 5:
        raise ValueError(f"context is {tuple(context.shape)}, expected [B, N, C, h, w]")
    batch, cameras, _, height, width = context.shape
    depth = weights.shape[2] if weights.dim() == 5 else "D"
    points = (batch, cameras, depth, height, width)
    if tuple(weights.shape) != points:
        raise ValueError(f"weights is {tuple(weights.shape)}, expected {points} to go with context")
    if tuple(index.shape) != (*points, 3):
        raise ValueError(f"index is {tuple(index.shape)}, expected {(*points, 3)} to go with weights")
    if len(shape) != 3 or min(shape) < 1:
        raise ValueError(f"shape is {shape}, expected three positive sizes (Z, Y, X)")


def accumulation_dtype(context: Tensor, weights: Tensor) -> torch.dtype:
    """float32, or float64 where an input is: sums over thousands of points need more than half precision."""
    return torch.promote_types(torch.promote_types(context.dtype, weights.dtype), torch.float32)


def inside(cells: Tensor, shape: Shape) -> Tensor:
    """Which cells lie in the grid, axis by axis.

    Args:
        cells: [..., 3] integral voxel index (x, y, z), integer or floating point; NaN and infinities are outside.
        shape: (Z, Y, X).

    Returns:
        [..., 3] bool.
    """
    return (cells >= 0) & (cells < cells.new_tensor(shape[::-1]))


def voxel_numbers(sample: Tensor, x: Tensor, y: Tensor, z: Tensor, shape: Shape) -> Tensor:
    """Number of voxels in the order (batch, z, y, x); int64 arguments, broadcast against each other."""
    depth, height, width = shape
    return ((sample * depth + z) * height + y) * width + x


def sum_points(context: Tensor, weights: Tensor, points: Tensor, voxels: Tensor, depth: int, shape: Shape) -> Tensor:
    """Sum weight * context over the points of each voxel, without the [K, C] array of products.

    A voxel is a bag of image pixels: sorted by voxel, points are rows of the table of all pixels, looked up
    and summed with one weight each, which is what `embedding_bag` computes (and what the kernels compute with
    atomics).

    Args:
        context: [B, N, C, h, w].
        weights: [K], weight of each contribution.
        points: [K] int64, flat position of the point in [B, N, D, h, w].
        voxels: [K] int64, number of the voxel that receives it.
        depth: D.
        shape: (Z, Y, X).

    Returns:
        [B, C, Z, Y, X] in the dtype of `context`.
    """
    batch, _, channels, height, width = context.shape
    dtype = accumulation_dtype(context, weights)
    plane, num_voxels = height * width, batch * shape[0] * shape[1] * shape[2]
    order = voxels.argsort(stable=True)
    points = points[order]
    pixels = points // (depth * plane) * plane + points % plane
    counts = torch.bincount(voxels, minlength=num_voxels)
    sums = F.embedding_bag(
        pixels,
        context.permute(0, 1, 3, 4, 2).reshape(-1, channels).to(dtype),
        counts.cumsum(0) - counts,
        mode="sum",
        per_sample_weights=weights[order].to(dtype),
    )
    return sums.view(batch, *shape, channels).permute(0, 4, 1, 2, 3).contiguous().to(context.dtype)
