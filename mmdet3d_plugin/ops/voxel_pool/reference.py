"""Hard pooling in plain PyTorch."""

from __future__ import annotations

from torch import Tensor

from ..points import Shape, inside, sum_points, voxel_numbers
from . import Rounding


def voxel_pool(context: Tensor, weights: Tensor, index: Tensor, shape: Shape, rounding: Rounding = "floor") -> Tensor:
    """See :func:`mmdet3d_plugin.ops.voxel_pool`."""
    cells = (index.floor() if rounding == "floor" else index.trunc()).reshape(-1, 3).detach()
    points = inside(cells, shape).all(dim=-1).nonzero().squeeze(1)
    x, y, z = cells[points].long().unbind(-1)
    voxels = voxel_numbers(points // weights.shape[1:].numel(), x, y, z, shape)
    return sum_points(context, weights.reshape(-1)[points], points, voxels, weights.shape[2], shape)
