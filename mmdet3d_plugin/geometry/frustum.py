"""The points of image frusta: every feature pixel at every depth."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from ..structures import CameraRig

PixelAnchor = Literal["corners", "centers"]


def frustum(height: int, width: int, stride: int, depths: Tensor, anchor: PixelAnchor = "centers") -> Tensor:
    """Pixel position and depth of every point of one camera's frustum.

    Args:
        height, width: size of the network input in pixels.
        stride: pixels of the network input per feature pixel.
        depths: [D] z-depth of the bins, metres.
        anchor: where the samples of a feature map lie in the image. "centers" puts them in the middle of
            their stride x stride patches, (j + 0.5) * stride - 0.5 for pixels whose centre has integer
            coordinates; "corners" spreads them from the first to the last pixel, linspace(0, W - 1, w), as
            published models do (spec/03).

    Returns:
        [D, h, w, 3] as (u, v, depth): pixels of the network input, metres; dtype and device of `depths`.

    Raises:
        ValueError: the stride does not divide the image.
    """
    if height % stride or width % stride:
        raise ValueError(f"an image of {height} x {width} pixels does not divide into strides of {stride}")

    def positions(size: int) -> Tensor:
        if anchor == "corners":
            return torch.linspace(0, size - 1, size // stride, dtype=depths.dtype, device=depths.device)
        steps = torch.arange(size // stride, dtype=depths.dtype, device=depths.device)
        return (steps + 0.5) * stride - 0.5

    depth, v, u = torch.meshgrid(depths, positions(height), positions(width), indexing="ij")
    return torch.stack((u, v, depth), dim=-1)


def lift_frustum(rig: CameraRig, points: Tensor) -> Tensor:
    """Move frustum points into the augmented volume frame (spec/03 "Point transform").

    It depends on the calibration and the augmentation only: for a fixed rig, compute it once (:class:`PerRig`).

    Args:
        rig: N cameras of B samples.
        points: [D, h, w, 3] (u, v, depth) for all cameras, or [B, N, D, h, w, 3] with one set for each.

    Returns:
        [B, N, D, h, w, 3] metres. `VoxelGrid.continuous_index` of it is what the lifting ops take.
    """
    flat = points.flatten(-4, -2)
    lifted = rig.unproject(flat[..., :2], flat[..., 2])
    return lifted.unflatten(2, points.shape[-4:-1])
