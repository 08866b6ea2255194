"""Merging image levels into one map (spec/01, "CustomFPN")."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn.functional import interpolate

from ...registry import MODELS


@MODELS.register_module()
class TopDownNeck(nn.Module):
    """A feature pyramid (Lin et al. 2017) of which only the finest level is kept.

    Args:
        in_channels: channels of the levels, finest first.
        out_channels: channels of the output.
    """

    def __init__(self, in_channels: Sequence[int], out_channels: int = 256) -> None:
        super().__init__()
        self.num_levels = len(in_channels)
        self.out_channels = out_channels
        self.lateral = nn.ModuleList(nn.Conv2d(channels, out_channels, 1) for channels in in_channels)
        self.output = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        for convolution in (*self.lateral, self.output):
            nn.init.xavier_uniform_(convolution.weight)
            nn.init.zeros_(convolution.bias)

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        """Map levels [M, C_i, h_i, w_i], finest first, to [M, C, h_0, w_0]."""
        merged = self.lateral[-1](levels[-1])
        for convolution, level in zip(reversed(self.lateral[:-1]), reversed(levels[:-1])):
            lateral = convolution(level)
            merged = lateral + interpolate(merged, size=lateral.shape[-2:], mode="nearest")
        return self.output(merged)
