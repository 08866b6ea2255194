"""Residual stages over a grid, in the plane (a bird's-eye-view map) or in space."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn

from ...errors import ConfigError
from ...registry import MODELS
from ...structures import Volume
from ..layers.checkpointing import run_checkpointed

Dims = Literal[2, 3]
CONV: dict[int, type[nn.Module]] = {2: nn.Conv2d, 3: nn.Conv3d}
NORM: dict[int, type[nn.Module]] = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}


class ResidualBlock(nn.Module):
    """Two 3-wide convolutions with batch normalisation around a shortcut (spec/05 sections 5.1 and 5.4).

    Args:
        dims: 2 = over (Y, X), 3 = over (Z, Y, X).
        in_channels, channels: channels of the input and of the output.
        stride: stride of the first convolution, on every axis.
        projection: pass the shortcut through a convolution as well. As published, it is 3 wide, and in the
            plane it has a bias, in space a normalisation.
    """

    def __init__(self, dims: Dims, in_channels: int, channels: int, stride: int, projection: bool) -> None:
        super().__init__()
        conv, norm = CONV[dims], NORM[dims]
        self.conv1 = conv(in_channels, channels, 3, stride, 1, bias=False)
        self.norm1 = norm(channels)
        self.conv2 = conv(channels, channels, 3, 1, 1, bias=False)
        self.norm2 = norm(channels)
        self.relu = nn.ReLU(inplace=True)
        self.shortcut: nn.Module = nn.Identity()
        if projection and dims == 2:
            self.shortcut = conv(in_channels, channels, 3, stride, 1)
        elif projection:
            self.shortcut = nn.Sequential(conv(in_channels, channels, 3, stride, 1, bias=False), norm(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, C_in, (Z,) Y, X] to [B, C, (Z,) Y, X] at the resolution that the stride gives."""
        out = self.relu(self.norm1(self.conv1(x)))
        return self.relu(self.norm2(self.conv2(out)) + self.shortcut(x))


class ResidualStages(nn.Module):
    """Stages of residual blocks; the output of every stage is returned, finest first.

    Args:
        dims: 2 = over (Y, X), 3 = over (Z, Y, X).
        in_channels: channels of the input.
        widths: channels of each stage.
        depths: blocks of each stage.
        strides: stride of the first block of each stage.
        activation_checkpointing: recompute the activations of every block in the backward pass.
    """

    def __init__(
        self,
        dims: Dims,
        in_channels: int,
        widths: Sequence[int],
        depths: Sequence[int],
        strides: Sequence[int],
        activation_checkpointing: bool = False,
    ) -> None:
        super().__init__()
        if not len(widths) == len(depths) == len(strides):
            raise ConfigError(
                "widths, depths and strides of the encoder stages differ in length",
                found=f"{len(widths)}, {len(depths)} and {len(strides)} values",
            )
        self.activation_checkpointing = activation_checkpointing
        self.stages = nn.ModuleList()
        for width, depth, stride in zip(widths, depths, strides):
            first = ResidualBlock(dims, in_channels, width, stride, projection=True)
            rest = (ResidualBlock(dims, width, width, 1, projection=False) for _ in range(depth - 1))
            self.stages.append(nn.Sequential(first, *rest))
            in_channels = width

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Map [B, C_in, (Z,) Y, X] to one [B, C, (Z,) Y, X] per stage."""
        outputs = []
        for stage in self.stages:
            for block in stage:
                x = run_checkpointed(block, block, x) if self.activation_checkpointing else block(x)
            outputs.append(x)
        return tuple(outputs)


@MODELS.register_module()
class ResidualStem2d(nn.Module):
    """One residual block on the lifted bird's-eye-view map (spec/05 section 5.1, "pre_process").

    Args:
        channels: channels of the map, kept.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.block = ResidualBlock(2, channels, channels, 1, projection=True)

    def forward(self, volume: Volume) -> Volume:
        """Refine [B, C, 1, Y, X]."""
        return Volume(self.block(bev_map(volume)).unsqueeze(2), volume.grid)


@MODELS.register_module()
class ResidualStem3d(nn.Module):
    """One residual block on the lifted volume (spec/05 section 5.4, "pre_process").

    Args:
        channels: channels of the volume, kept.
        activation_checkpointing: recompute the activations in the backward pass.
    """

    def __init__(self, channels: int, activation_checkpointing: bool = False) -> None:
        super().__init__()
        self.activation_checkpointing = activation_checkpointing
        self.block = ResidualBlock(3, channels, channels, 1, projection=True)

    def forward(self, volume: Volume) -> Volume:
        """Refine [B, C, Z, Y, X]."""
        if self.activation_checkpointing:
            return Volume(run_checkpointed(self.block, self.block, volume.features), volume.grid)
        return Volume(self.block(volume.features), volume.grid)


def bev_map(volume: Volume) -> Tensor:
    """The features [B, C, Y, X] of a bird's-eye-view volume.

    Raises:
        ConfigError: the grid has more than one voxel along z.
    """
    if not volume.grid.is_bev:
        raise ConfigError(
            "a bird's-eye-view stage received a volume",
            found=f"a grid of {volume.grid.shape} voxels (x, y, z)",
            expected="one voxel along z",
            fix="give the view transformer a grid of shape (x, y, 1), or use the 3-D stages",
        )
    return volume.features.squeeze(2)
