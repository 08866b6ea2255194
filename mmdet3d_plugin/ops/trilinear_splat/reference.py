"""Soft filling in plain PyTorch."""

from __future__ import annotations

from itertools import product

import torch
from torch import Tensor

from ..points import Shape, sum_points, voxel_ids


def trilinear_splat(context: Tensor, weights: Tensor, index: Tensor, shape: Shape) -> Tensor:
    """See :func:`mmdet3d_plugin.ops.trilinear_splat`."""
    batch, _, depth = weights.shape[:3]
    location, mass = index.reshape(-1, 3), weights.reshape(-1)
    base = location.detach().floor()
    sample = torch.arange(batch, device=index.device).repeat_interleave(weights.shape[1:].numel())
    contributions = []
    for corner in product((0, 1), repeat=3):
        # Dropped points are left out before their weights are computed: an infinity there would turn
        # gradients into NaN.
        points, voxels = voxel_ids(base + base.new_tensor(corner), sample, shape)
        fraction = location[points] - base[points]
        share = [fraction[:, axis] if upper else 1 - fraction[:, axis] for axis, upper in enumerate(corner)]
        contributions.append((mass[points] * share[0] * share[1] * share[2], points, voxels))
    flat_weights, points, voxels = (torch.cat(column) for column in zip(*contributions))
    return sum_points(context, flat_weights, points, voxels, depth, shape)
