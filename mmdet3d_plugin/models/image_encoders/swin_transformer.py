"""Swin Transformer for images (Liu et al. 2021; spec/01)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...errors import ConfigError
from ...registry import MODELS
from ..layers.checkpointing import run_checkpointed
from ..layers.drop_path import DropPath, drop_rates
from ..layers.window_attention import WindowAttention
from .stages import checked_depths, checked_stages

_PATCH = 4  # pixels per side
_POSITIONS = 56  # side of the table of positions: patches of a 224 x 224 image
_HEAD_CHANNELS = 32


@MODELS.register_module()
class SwinTransformer(nn.Module):
    """Four stages of attention within windows, with strides 4, 8, 16, 32. The defaults are the size "base".

    Positions are learned for an image of 224 x 224 pixels and resized, bicubically, to other images. Outputs of the
    stages 1, 2, 3 are normalised; the output of stage 0, a feature for matching, is not.

    Args:
        channels: width of the first stage, a multiple of 32, the width of a head; it doubles with every stage.
        depths: blocks of each stage.
        window: side of the windows in pixels of the map.
        out_stages: stages (0..3) whose outputs are returned, ascending.
        shifted_windows: move the windows of every second block by half a window, so that they exchange
            information; published weights were trained without (spec/99 A17).
        drop_path: probability with which training drops the branches of the last block; it rises linearly from 0
            at the first.
        activation_checkpointing: recompute every block in the backward pass, not keeping activations.
    """

    def __init__(
        self,
        channels: int = 128,
        depths: Sequence[int] = (2, 2, 18, 2),
        window: int = 16,
        out_stages: Sequence[int] = (2, 3),
        shifted_windows: bool = True,
        drop_path: float = 0.25,
        activation_checkpointing: bool = False,
    ) -> None:
        super().__init__()
        if channels % _HEAD_CHANNELS:
            raise ConfigError(
                "SwinTransformer.channels",
                found=channels,
                expected=f"a multiple of {_HEAD_CHANNELS}, one or more heads",
            )
        self.depths = checked_depths("SwinTransformer", depths)
        self.out_stages = checked_stages("SwinTransformer", out_stages)
        self.activation_checkpointing = activation_checkpointing
        self.patches = nn.Conv2d(3, channels, _PATCH, stride=_PATCH)
        self.patch_norm = nn.LayerNorm(channels)
        self.positions = nn.Parameter(torch.zeros(1, channels, _POSITIONS, _POSITIONS))
        rates = iter(drop_rates(drop_path, sum(depths)))
        self.stages = nn.ModuleList()
        for stage in range(self.out_stages[-1] + 1):
            width = channels * 2**stage
            shifts = [window // 2 if shifted_windows and number % 2 else 0 for number in range(depths[stage])]
            blocks = nn.ModuleList(_Block(width, window, shift, next(rates)) for shift in shifts)
            self.stages.append(nn.ModuleDict({"blocks": blocks}))
            if stage < self.out_stages[-1]:
                self.stages[-1]["merge"] = PatchMerging(width)
        self.norms = nn.ModuleDict({str(s): nn.LayerNorm(channels * 2**s) for s in self.out_stages if s > 0})
        self.out_channels = tuple(channels * 2**s for s in self.out_stages)
        self.apply(_initialise)
        nn.init.trunc_normal_(self.positions, std=0.02)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Map images [M, 3, H, W] to the outputs of `out_stages`, [M, C, H / 2^(s+2), W / 2^(s+2)] each."""
        return self._run(images, self.out_stages[-1])

    @torch.no_grad()
    def finest(self, images: Tensor) -> Tensor:
        """Only the first of the outputs of :meth:`forward`, without gradient; later stages are not computed."""
        return self._run(images, self.out_stages[0])[0]

    def layer_number(self, name: str) -> int | None:
        """Depth at which a parameter works, for learning rates that fall with it (spec/08, 8.4).

        Args:
            name: of a parameter of this network.

        Returns:
            0 for patches and positions, i + 1 for block i, counted through all stages, and for what merges its
            outputs; None for the normalisation of outputs, which comes after all layers.
        """
        first, *rest = name.split(".")
        if first == "norms":
            return None
        if first != "stages":
            return 0
        stage = int(rest[0])
        return sum(self.depths[:stage]) + int(rest[2]) + 1 if rest[1] == "blocks" else sum(self.depths[: stage + 1])

    @property
    def num_layers(self) -> int:
        """Number of blocks up to the last output, the highest :meth:`layer_number`."""
        return sum(self.depths[: len(self.stages)])

    def _run(self, images: Tensor, last: int) -> tuple[Tensor, ...]:
        height, width = images.shape[-2:]
        maps = self.patches(F.pad(images, (0, -width % _PATCH, 0, -height % _PATCH)))
        positions = self.positions
        if maps.shape[-2:] != positions.shape[-2:]:
            positions = F.interpolate(positions, maps.shape[-2:], mode="bicubic", align_corners=False)
        x, outputs = self.patch_norm(maps.permute(0, 2, 3, 1)) + positions.permute(0, 2, 3, 1), []
        for number, stage in enumerate(self.stages[: last + 1]):
            for block in stage["blocks"]:
                x = run_checkpointed(block, block, x) if self.activation_checkpointing else block(x)
            if number in self.out_stages:
                output = self.norms[str(number)](x) if number > 0 else x
                outputs.append(output.permute(0, 3, 1, 2).contiguous())
            if number < last:
                x = stage["merge"](x)
        return tuple(outputs)


class PatchMerging(nn.Module):
    """Halves the sides of a map: 2x2 pixels become one of twice the width.

    Args:
        channels: of the input.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * channels)
        self.reduction = nn.Linear(4 * channels, 2 * channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map [M, H, W, C] to [M, H / 2, W / 2, 2 C], rounded up. The four values of a channel stay together."""
        x = F.pad(x, (0, 0, 0, x.shape[2] % 2, 0, x.shape[1] % 2))
        images, height, width, channels = x.shape
        x = x.view(images, height // 2, 2, width // 2, 2, channels).permute(0, 1, 3, 5, 2, 4)
        return self.reduction(self.norm(x.flatten(3)))


class _Block(nn.Module):
    """x + attention(norm1(x)), then x + mlp(norm2(x)), over [M, H, W, C]."""

    def __init__(self, channels: int, window: int, shift: int, drop_path: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels)
        self.attention = WindowAttention(channels, channels // _HEAD_CHANNELS, window, shift)
        self.norm2 = nn.LayerNorm(channels)
        self.mlp = nn.Sequential(nn.Linear(channels, 4 * channels), nn.GELU(), nn.Linear(4 * channels, channels))
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.drop_path(self.attention(self.norm1(x)))
        return x + self.drop_path(self.mlp(self.norm2(x)))


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
