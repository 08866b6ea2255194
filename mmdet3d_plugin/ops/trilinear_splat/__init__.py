"""Soft filling: trilinear splatting of depth-weighted image features into voxels."""

from __future__ import annotations

from torch import Tensor

from ..backend import runs_kernel
from ..points import Shape, check_points


def trilinear_splat(context: Tensor, weights: Tensor, index: Tensor, shape: Shape) -> Tensor:
    """Spread weight * context of every point over the eight cells around it (spec/03, "Soft filling").

        out[b, :, v] = sum over points p of weights[p] * context[pixel(p)] * share(index[p] - v)
        share(r) = max(0, 1 - |r_x|) * max(0, 1 - |r_y|) * max(0, 1 - |r_z|)

    Voxel i lies at the integer coordinate i, as in the published models, so that the eight cells of a point
    are floor(index) + {0, 1}^3. Cells outside of the grid are dropped with their share of the weight. A
    bird's-eye view is the same formula with one slab: a point's weight falls linearly with its distance from
    the lower bound, on both sides of it (spec/99 A16).
    Infinite and NaN points are dropped. Sums are float32 or wider.

    Args:
        context: [B, N, C, h, w] image features.
        weights: [B, N, D, h, w] weight of every point, for example a depth distribution.
        index: [B, N, D, h, w, 3] continuous voxel index (x, y, z) of every point,
            `VoxelGrid.continuous_index`; float32 or wider.
        shape: (Z, Y, X), `VoxelGrid.zyx`.

    Returns:
        [B, C, Z, Y, X] in the dtype of `context`. Differentiable in `context`, `weights` and `index` (from
        the right at integer coordinates).

    Raises:
        ValueError: shapes that do not go together.
    """
    check_points(context, weights, index, shape)
    if runs_kernel(context):
        from .kernel import trilinear_splat as run
    else:
        from .reference import trilinear_splat as run
    return run(context, weights, index, shape)
