"""Deformable convolution in plain PyTorch."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..points import accumulation_dtype


def deformable_convolution_v4(value: Tensor, offsets: Tensor, weights: Tensor, offset_scale: float = 1.0) -> Tensor:
    """See :func:`mmdet3d_plugin.ops.deformable_convolution_v4`.

    The table of all pixels, with a border of zeros, has one row of channels per group. A tap of an output is a bag
    of the four rows around its sample, which `embedding_bag` sums without an array of products; taps follow each
    other, so that no more than one is in memory.
    """
    groups, dtype = weights.shape[3], accumulation_dtype(value, weights)
    table = F.pad(value.to(dtype), (0, 0, 1, 1, 1, 1)).reshape(-1, value.shape[-1] // groups)
    by_tap = offsets.permute(4, 5, 0, 1, 2, 3).contiguous(), weights.movedim(-1, 0).to(dtype).contiguous()
    out = value.new_zeros((weights.shape[:4].numel(), table.shape[1]), dtype=dtype)
    for tap, (offset, weight) in enumerate(zip(*by_tap)):
        rows, factors = _corners(offset[0], offset[1], weight, tap, offset_scale)
        out = out + F.embedding_bag(
            rows.view(-1, 4), table, mode="sum", per_sample_weights=factors.to(dtype).view(-1, 4)
        )
    return out.view(value.shape).to(value.dtype)


def _corners(dx: Tensor, dy: Tensor, weight: Tensor, tap: int, scale: float) -> tuple[Tensor, Tensor]:
    """Rows of the four pixels around the samples of one tap, and weight times bilinear share of each.

    Args:
        dx, dy: [M, H, W, G] offsets in pixels.
        weight: [M, H, W, G] factors of the samples.
        tap: number of the tap, x outer.
        scale: factor of offset and tap.

    Returns:
        rows [M, H, W, G, 4] of the table [M (H + 2) (W + 2) G, C / G], and factors of the same shape.
    """
    images, height, width, groups = dx.shape
    lines, columns = (torch.arange(n, device=dx.device, dtype=dx.dtype) for n in (height, width))
    x = _placed((columns + scale * (tap // 3 - 1))[:, None] + scale * dx, width)
    y = _placed((lines + scale * (tap % 3 - 1))[:, None, None] + scale * dy, height)
    left, top = x.detach().floor(), y.detach().floor()
    step = groups * (width + 2)  # rows of the table per line of an image
    first = torch.arange(images, device=dx.device)[:, None, None, None] * (step * (height + 2)) + step + groups
    row = first + torch.arange(groups, device=dx.device) + step * top.long() + groups * left.long()
    right, below = x - left, (y - top) * weight
    above = weight - below
    factors = torch.stack((above * (1 - right), above * right, below * (1 - right), below * right), dim=-1)
    return row[..., None] + torch.tensor((0, groups, step, step + groups), device=dx.device), factors


def _placed(coordinate: Tensor, size: int) -> Tensor:
    """Coordinates with a pixel around them as they are, all others, infinities and NaN too, on the border of zeros."""
    return torch.where((coordinate > -1) & (coordinate < size), coordinate, -1.0)
