"""Soft filling in plain PyTorch."""

from __future__ import annotations

import torch
from torch import Tensor

from ..points import Shape, inside, sum_points, voxel_numbers


def trilinear_splat(context: Tensor, weights: Tensor, index: Tensor, shape: Shape) -> Tensor:
    """See :func:`mmdet3d_plugin.ops.trilinear_splat`."""
    location = index.reshape(-1, 3)
    base = location.detach().floor()
    # Points without a cell in the grid are left out before shares are computed: an infinity there would turn gradients
    # into NaN.
    points = (inside(base, shape) | inside(base + 1, shape)).all(dim=-1).nonzero().squeeze(1)
    base = base[points]
    fraction = location[points] - base
    shares = torch.stack((1 - fraction, fraction), dim=1)  # [K, lower | upper, axis]
    cells = torch.stack((base, base + 1), dim=1).long()

    share_x, share_y, share_z = corners(shares)
    in_x, in_y, in_z = corners(inside(cells, shape))
    sample = points // weights.shape[1:].numel()
    voxels = voxel_numbers(sample[:, None, None, None], *corners(cells), shape)
    masses = weights.reshape(-1)[points][:, None, None, None] * share_x * share_y * share_z
    kept = (in_x & in_y & in_z).flatten().nonzero().squeeze(1)
    return sum_points(
        context, masses.flatten()[kept], points[kept // 8], voxels.flatten()[kept], weights.shape[2], shape
    )


def corners(per_axis: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """[K, 2, 3] values of the lower and upper cell along each axis, ready to be broadcast to [K, 2, 2, 2] corners."""
    x, y, z = per_axis.unbind(-1)
    return x[:, :, None, None], y[:, None, :, None], z[:, None, None, :]
