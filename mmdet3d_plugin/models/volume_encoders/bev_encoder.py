"""Encoder of the 2-D family: residual stages in the plane, fusion at full resolution, lifted height."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...registry import MODELS
from ...structures import Volume, VoxelGrid
from .residual import ResidualStages, bev_map


class PlaneFusion(nn.Module):
    """Brings maps of several resolutions to the finest one and fuses them (spec/05 section 5.2).

    Args:
        in_channels: channels of each map, finest first.
        channels: channels of the output.
    """

    def __init__(self, in_channels: Sequence[int], channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(sum(in_channels), channels, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Map [B, C_i, Y_i, X_i], finest first, to [B, C, Y_0, X_0]."""
        size = maps[0].shape[-2:]
        coarse = (functional.interpolate(m, size, mode="bilinear", align_corners=True).to(m.dtype) for m in maps[1:])
        x = torch.cat((maps[0], *coarse), dim=1)
        x = self.relu(self.norm1(self.conv1(x)))
        return self.relu(self.norm2(self.conv2(x)))


@MODELS.register_module()
class BevEncoder(nn.Module):
    """Encodes a bird's-eye-view map and lifts it to a volume (spec/05 sections 5.1 to 5.3).

    Args:
        in_channels: channels of the map.
        widths, depths, strides: channels, number of blocks and first stride of each residual stage.
        fused_channels: channels of the fused map.
        out_channels: channels of the volume.
        heights: number of voxels of the volume along z.
    """

    def __init__(
        self,
        in_channels: int,
        widths: Sequence[int],
        depths: Sequence[int],
        strides: Sequence[int],
        fused_channels: int,
        out_channels: int,
        heights: int,
    ) -> None:
        super().__init__()
        self.heights = heights
        self.backbone = ResidualStages(2, in_channels, widths, depths, strides)
        self.neck = PlaneFusion(widths, fused_channels)
        self.lift = nn.Conv2d(fused_channels, out_channels * heights, 3, padding=1)

    def forward(self, volume: Volume) -> Volume:
        """Map features [B, C_in, 1, Y, X] to [B, C_out, heights, Y, X] over the same box.

        The lifting convolution numbers its outputs channel * heights + z, as published.
        """
        lifted = self.lift(self.neck(self.backbone(bev_map(volume))))
        return Volume(lifted.unflatten(1, (-1, self.heights)), self.output_grid(volume.grid))

    def output_grid(self, grid: VoxelGrid) -> VoxelGrid:
        """Grid of the volume over a bird's-eye-view grid."""
        return VoxelGrid(grid.lower, grid.upper, (*grid.shape[:2], self.heights))
