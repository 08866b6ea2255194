"""The depth axis of lifting: equal bins, and ground-truth depth on them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ...errors import ConfigError


@dataclass(frozen=True)
class DepthBins:
    """Equal bins of z-depth; bin k covers [start + k * step, start + (k + 1) * step) metres (spec/02).

    Attributes:
        start, stop, step: metres.
    """

    start: float
    stop: float
    step: float

    def __post_init__(self) -> None:
        if self.step <= 0 or self.count < 1:
            raise ConfigError("depth bins are empty", found=self, expected="start < stop and step > 0")

    @classmethod
    def from_config(cls, cfg: DepthBins | dict) -> DepthBins:
        """Build from a config value `dict(start=..., stop=..., step=...)`, or pass bins through."""
        return cfg if isinstance(cfg, cls) else cls(**cfg)

    @property
    def count(self) -> int:
        """Number of bins, D."""
        return int((self.stop - self.start) / self.step + 1e-6)

    def depths(self, device: torch.device | str = "cpu") -> Tensor:
        """Depth at which each bin is lifted, its near edge as in the published models; [D] float32 metres."""
        return self.start + self.step * torch.arange(self.count, device=device, dtype=torch.float32)

    def index(self, depth: Tensor) -> Tensor:
        """Bin of depths of any shape in metres; int64, -1 where the depth lies in no bin (spec/02).

        The order of operations is the published one, so that depths on an edge fall on the same side.
        """
        bins = ((depth - (self.start - self.step)) / self.step).floor().long() - 1
        return torch.where((bins >= 0) & (bins < self.count) & (depth > 0), bins, -1)


def nearest_in_patches(depth: Tensor, size: tuple[int, int]) -> Tensor:
    """Depth of the nearest lidar return in every patch of an image (spec/02, "GT depth map").

    Args:
        depth: [..., H, W] metres, 0 = none.
        size: (h, w), the number of patches along each axis; they divide H and W.

    Returns:
        [..., h, w] metres, 0 where a patch holds no return.
    """
    h, w = size
    patches = depth.unflatten(-2, (h, -1)).unflatten(-1, (w, -1)).transpose(-3, -2).flatten(-2)
    nearest = torch.where(patches > 0, patches, torch.inf).amin(dim=-1)
    return torch.where(nearest.isinf(), 0.0, nearest)
