"""Hard pooling in plain PyTorch."""

from __future__ import annotations

import torch
from torch import Tensor

from ..points import Shape, sum_points, voxel_ids
from . import Rounding


def voxel_pool(context: Tensor, weights: Tensor, index: Tensor, shape: Shape, rounding: Rounding = "floor") -> Tensor:
    """See :func:`mmdet3d_plugin.ops.voxel_pool`."""
    batch, _, depth = weights.shape[:3]
    cells = (index.floor() if rounding == "floor" else index.trunc()).reshape(-1, 3).detach()
    sample = torch.arange(batch, device=index.device).repeat_interleave(weights.shape[1:].numel())
    points, voxels = voxel_ids(cells, sample, shape)
    return sum_points(context, weights.reshape(-1)[points], points, voxels, depth, shape)
