"""Atrous spatial pyramid pooling."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate


def _branch(in_channels: int, channels: int, kernel: int, dilation: int) -> nn.Sequential:
    padding = dilation * (kernel // 2)
    return nn.Sequential(
        nn.Conv2d(in_channels, channels, kernel, padding=padding, dilation=dilation, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
    )


class AtrousPyramid(nn.Module):
    """Parallel convolutions of several dilations and a global average, merged (Chen et al. 2017; spec/02).

    Args:
        in_channels: channels of the input and of the output.
        channels: channels of every branch.
        dilations: dilation of every 3x3 branch besides the 1x1 branch.
    """

    def __init__(self, in_channels: int, channels: int, dilations: Sequence[int] = (6, 12, 18)) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            (
                _branch(in_channels, channels, 1, 1),
                *(_branch(in_channels, channels, 3, dilation) for dilation in dilations),
            )
        )
        self.pooled = nn.Sequential(nn.AdaptiveAvgPool2d(1), *_branch(in_channels, channels, 1, 1))
        self.merge = nn.Sequential(
            nn.Conv2d(channels * (len(dilations) + 2), in_channels, 1, bias=False),
            nn.BatchNorm2d(in_channels),
            nn.ReLU(inplace=True),
            nn.Dropout(0.5),
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Map [M, C, h, w] to the same shape."""
        branches = [branch(x) for branch in self.branches]
        pooled = interpolate(self.pooled(x), size=x.shape[-2:], mode="bilinear", align_corners=True)
        return self.merge(torch.cat((*branches, pooled), dim=1))
