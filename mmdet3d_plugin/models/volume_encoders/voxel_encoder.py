"""Encoder of the 3-D family: residual stages in space and fusion at full resolution."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional

from ...registry import MODELS
from ...structures import Volume, VoxelGrid
from .residual import ResidualStages


class SpaceFusion(nn.Module):
    """Brings volumes of several resolutions to the finest one and fuses them (spec/05 section 5.5).

    The published network interpolates all channels of the coarse volumes, concatenates them and applies a
    convolution of width one. That convolution and the interpolation commute, so here every volume passes its share
    of the kernel at its own resolution, and only the few output channels are interpolated and summed.

    Args:
        in_channels: channels of each volume, finest first.
        channels: channels of the output.
    """

    def __init__(self, in_channels: Sequence[int], channels: int) -> None:
        super().__init__()
        self.in_channels = tuple(in_channels)
        self.conv = nn.Conv3d(sum(in_channels), channels, 1, bias=False)
        self.norm = nn.BatchNorm3d(channels)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, volumes: Sequence[Tensor]) -> Tensor:
        """Map [B, C_i, Z_i, Y_i, X_i], finest first, to [B, C, Z_0, Y_0, X_0]."""
        finest, *coarse = (
            functional.conv3d(volume, kernel)
            for volume, kernel in zip(volumes, self.conv.weight.split(self.in_channels, dim=1))
        )
        size = finest.shape[-3:]
        for volume in coarse:
            raised = functional.interpolate(volume, size, mode="trilinear", align_corners=True)
            finest = finest + raised.to(volume.dtype)
        return self.relu(self.norm(finest))


@MODELS.register_module()
class VoxelEncoder3d(nn.Module):
    """Encodes a volume with 3-D convolutions (spec/05 sections 5.4 and 5.5).

    Args:
        in_channels: channels of the volume.
        widths, depths, strides: channels, number of blocks and first stride of each residual stage.
        out_channels: channels of the encoded volume.
        activation_checkpointing: recompute the activations of every block in the backward pass.
    """

    def __init__(
        self,
        in_channels: int,
        widths: Sequence[int],
        depths: Sequence[int],
        strides: Sequence[int],
        out_channels: int,
        activation_checkpointing: bool = False,
    ) -> None:
        super().__init__()
        self.backbone = ResidualStages(3, in_channels, widths, depths, strides, activation_checkpointing)
        self.neck = SpaceFusion(widths, out_channels)

    def forward(self, volume: Volume) -> Volume:
        """Map features [B, C_in, Z, Y, X] to [B, C_out, Z, Y, X] over the same grid."""
        return Volume(self.neck(self.backbone(volume.features)), volume.grid)

    def output_grid(self, grid: VoxelGrid) -> VoxelGrid:
        """Grid of the encoded volume: that of the volume."""
        return grid
