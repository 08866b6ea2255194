"""Hard pooling of depth-weighted image features into voxels."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from ..backend import runs_kernel
from ..points import Shape, check_points

Rounding = Literal["floor", "truncate"]


def voxel_pool(context: Tensor, weights: Tensor, index: Tensor, shape: Shape, rounding: Rounding = "floor") -> Tensor:
    """Sum weight * context of all points that fall into a voxel (spec/03, "Hard pooling").

        out[b, :, v] = sum over points p with round(index[p]) == v of weights[p] * context[pixel(p)]

    Points outside of the grid (also infinite and NaN ones) are dropped. Sums are float32 or wider. The
    gradient reaches `context` and `weights`; the cell of a point is piecewise constant, so `index` has none.

    Args:
        context: [B, N, C, h, w] image features.
        weights: [B, N, D, h, w] weight of every point, for example a depth distribution.
        index: [B, N, D, h, w, 3] continuous voxel index (x, y, z) of every point,
            `VoxelGrid.continuous_index`; float32 or wider.
        shape: (Z, Y, X), `VoxelGrid.zyx`.
        rounding: "floor" puts a point into the voxel that holds it; "truncate" rounds toward zero as
            published models do, which folds a halo of one voxel below the lower bounds into the outermost
            voxels (spec/99 A15).

    Returns:
        [B, C, Z, Y, X] in the dtype of `context`.

    Raises:
        ValueError: shapes that do not go together, or an unknown rounding.
    """
    check_points(context, weights, index, shape)
    if rounding not in ("floor", "truncate"):
        raise ValueError(f"rounding is {rounding!r}, expected 'floor' or 'truncate'")
    if runs_kernel(context):
        from .kernel import voxel_pool as run
    else:
        from .reference import voxel_pool as run
    return run(context, weights, index, shape, rounding)
