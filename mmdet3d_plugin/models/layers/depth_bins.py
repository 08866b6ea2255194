"""Depth as a class: the bins of the lifted frustum, and lidar depth turned into targets for them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .equal_bins import EqualBins


@dataclass(frozen=True)
class DepthBins(EqualBins):
    """Equal bins of z-depth: bin k covers [start + k step, start + (k + 1) step) metres (spec/02)."""

    quantity = "depth"

    def edges(self, *, device: torch.device | str = "cpu") -> Tensor:
        """Near edge of every bin, [D] float32 metres; the depth at which a bin is lifted."""
        return self.start + self.step * torch.arange(self.num, device=device, dtype=torch.float32)

    def index(self, depth: Tensor) -> Tensor:
        """Bin of each depth, int64 of the same shape; -1 where it is outside of the range or not positive.

        As published (spec/02 "Geometry denoise"): k + 1 = trunc((d - (start - step)) / step), in 1 .. D.
        """
        number = torch.trunc((depth - (self.start - self.step)) / self.step).long()
        inside = (depth > 0) & (number >= 1) & (number <= self.num)
        return torch.where(inside, number - 1, torch.full_like(number, -1))

    def targets(self, depth: Tensor, stride: int) -> Tensor:
        """Bin of the closest lidar return in every patch of stride x stride pixels.

        Args:
            depth: [..., H, W] metres, 0 = no return.
            stride: pixels per patch.

        Returns:
            [..., H / stride, W / stride] int64, -1 where the patch has no return in the range.
        """
        return self.index(closest_in_patches(depth, stride))


def _patches(image: Tensor, stride: int) -> Tensor:
    """[..., H, W] to [..., H / stride, W / stride, stride * stride]."""
    *lead, height, width = image.shape
    if height % stride or width % stride:
        raise ValueError(f"{height} x {width} pixels do not divide into patches of {stride} x {stride}")
    tiles = image.reshape(*lead, height // stride, stride, width // stride, stride)
    return tiles.transpose(-3, -2).flatten(-2)


def closest_in_patches(depth: Tensor, stride: int) -> Tensor:
    """Smallest positive depth of every patch (spec/02 "GT depth map").

    Args:
        depth: [..., H, W] metres, 0 = no return.
        stride: pixels per patch.

    Returns:
        [..., H / stride, W / stride] metres, 0 where a patch has no return.
    """
    tiles = _patches(depth, stride)
    nearest = torch.where(tiles > 0, tiles, torch.full_like(tiles, torch.inf)).amin(dim=-1)
    return torch.where(torch.isinf(nearest), torch.zeros_like(nearest), nearest)


def labels_of_closest(depth: Tensor, labels: Tensor, stride: int, ignore: int) -> Tensor:
    """Label of the closest lidar return of every patch (spec/02 "Semantic prototypes").

    Args:
        depth: [..., H, W] metres, 0 = no return.
        labels: [..., H, W] integer label at each return.
        stride: pixels per patch.
        ignore: label of patches without a return.

    Returns:
        [..., H / stride, W / stride] labels, same type as `labels`.
    """
    tiles = _patches(depth, stride)
    nearest, where = torch.where(tiles > 0, tiles, torch.full_like(tiles, torch.inf)).min(dim=-1, keepdim=True)
    chosen = _patches(labels, stride).gather(-1, where).squeeze(-1)
    return torch.where(torch.isinf(nearest.squeeze(-1)), torch.full_like(chosen, ignore), chosen)
