"""InternImage (Wang et al. 2023) with the fourth deformable convolution (Xiong et al. 2024): FlashInternImage."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ...errors import ConfigError
from ...ops import deformable_convolution_v4
from ...ops.deformable_convolution_v4 import TAPS
from ...registry import MODELS
from ..layers.checkpointing import run_checkpointed
from ..layers.drop_path import DropPath, drop_rates
from .stages import checked_depths, checked_stages

_GROUP_CHANNELS = 16
_EPS = 1e-6  # of every normalisation


@MODELS.register_module()
class InternImage(nn.Module):
    """A network of four stages with strides 4, 8, 16, 32, made of deformable convolutions (spec/01).

    The defaults are the size "tiny".

    Args:
        channels: width of the first stage, a multiple of 16; it doubles with every stage.
        depths: blocks of each stage.
        out_stages: stages (0..3) whose normalised outputs are returned, ascending.
        drop_path: probability with which training drops the branches of the last block; it rises linearly from 0
            at the first.
        activation_checkpointing: recompute every block in the backward pass, not keeping activations.
    """

    def __init__(
        self,
        channels: int = 64,
        depths: Sequence[int] = (4, 4, 18, 4),
        out_stages: Sequence[int] = (2, 3),
        drop_path: float = 0.2,
        activation_checkpointing: bool = False,
    ) -> None:
        super().__init__()
        if channels % _GROUP_CHANNELS:
            raise ConfigError(
                "InternImage.channels", found=channels, expected=f"a multiple of {_GROUP_CHANNELS}, the size of a group"
            )
        self.out_stages = checked_stages("InternImage", out_stages)
        self.activation_checkpointing = activation_checkpointing
        self.stem = _Stem(channels)
        depths = checked_depths("InternImage", depths)
        rates = iter(drop_rates(drop_path, sum(depths)))
        self.stages = nn.ModuleList()
        for stage in range(self.out_stages[-1] + 1):
            width = channels * 2**stage
            blocks = nn.ModuleList(_Block(width, next(rates)) for _ in range(depths[stage]))
            self.stages.append(nn.ModuleDict({"blocks": blocks, "norm": nn.LayerNorm(width, _EPS)}))
            if stage < self.out_stages[-1]:
                self.stages[-1]["downsample"] = _Downsample(width)
        self.out_channels = tuple(channels * 2**s for s in self.out_stages)
        self.apply(_initialise)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Map images [M, 3, H, W] to the outputs of `out_stages`, [M, C, H / 2^(s+2), W / 2^(s+2)] each."""
        return self._run(images, self.out_stages[-1])

    @torch.no_grad()
    def finest(self, images: Tensor) -> Tensor:
        """Only the first of the outputs of :meth:`forward`, without gradient; later stages are not computed."""
        return self._run(images, self.out_stages[0])[0]

    def _run(self, images: Tensor, last: int) -> tuple[Tensor, ...]:
        x, outputs = self.stem(images), []
        for number, stage in enumerate(self.stages[: last + 1]):
            for block in stage["blocks"]:
                x = run_checkpointed(block, block, x) if self.activation_checkpointing else block(x)
            x = stage["norm"](x)
            if number in self.out_stages:
                outputs.append(x.permute(0, 3, 1, 2).contiguous())
            if number < last:
                x = stage["downsample"](x)
        return tuple(outputs)


class DeformableConvolution(nn.Module):
    """Projects features, samples them at nine predicted places with predicted weights, and projects the result.

    Args:
        channels: of input and output, in groups of 16.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.groups = channels // _GROUP_CHANNELS
        self.value = nn.Linear(channels, channels)
        # Per group 9 (x, y) offsets and 9 weights; filled up to a multiple of 8 with outputs that nothing reads.
        self.sampling = nn.Linear(channels, 8 * math.ceil(3 * TAPS * self.groups / 8))
        self.output = nn.Linear(channels, channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map [M, H, W, C] to [M, H, W, C]."""
        with torch.autocast(x.device.type, enabled=False):  # coordinates need more than 8 bits
            sampling = self.sampling(x.float() if x.dtype != torch.float64 else x)
        sampling = sampling[..., : 3 * TAPS * self.groups].unflatten(-1, (self.groups, 3 * TAPS))
        offsets, weights = sampling[..., : 2 * TAPS].unflatten(-1, (TAPS, 2)), sampling[..., 2 * TAPS :]
        value = self.value(x)
        return self.output(deformable_convolution_v4(value, offsets, weights.to(value.dtype)))


class _Block(nn.Module):
    """x + scale1 * convolution(norm1(x)), then x + scale2 * mlp(norm2(x)), over [M, H, W, C]."""

    def __init__(self, channels: int, drop_path: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels, _EPS)
        self.convolution = DeformableConvolution(channels)
        self.norm2 = nn.LayerNorm(channels, _EPS)
        self.mlp = nn.Sequential(
            nn.Linear(channels, 4 * channels), nn.GELU(), nn.Linear(4 * channels, channels, bias=False)
        )
        self.scale1 = nn.Parameter(torch.ones(channels))
        self.scale2 = nn.Parameter(torch.ones(channels))
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.drop_path(self.scale1 * self.convolution(self.norm1(x)))
        return x + self.drop_path(self.scale2 * self.mlp(self.norm2(x)))


class _Stem(nn.Module):
    """Two convolutions of stride 2: images [M, 3, H, W] to [M, H / 4, W / 4, C]."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, channels // 2, 3, stride=2, padding=1)
        self.norm1 = nn.LayerNorm(channels // 2, _EPS)
        self.conv2 = nn.Conv2d(channels // 2, channels, 3, stride=2, padding=1)
        self.norm2 = nn.LayerNorm(channels, _EPS)

    def forward(self, images: Tensor) -> Tensor:
        x = nn.functional.gelu(self.norm1(self.conv1(images).permute(0, 2, 3, 1)))
        return self.norm2(self.conv2(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1))


class _Downsample(nn.Module):
    """[M, H, W, C] to [M, H / 2, W / 2, 2 C]."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, 2 * channels, 3, stride=2, padding=1, bias=False)
        self.norm = nn.LayerNorm(2 * channels, _EPS)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1))


def _initialise(module: nn.Module) -> None:
    """Normal linear weights; a deformable convolution starts as the mean of the nine values around a pixel."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, DeformableConvolution):  # after its parts: `apply` visits children first
        nn.init.zeros_(module.sampling.weight)
        used = module.sampling.bias.detach()[: 3 * TAPS * module.groups].view(module.groups, 3 * TAPS)
        nn.init.constant_(used[:, 2 * TAPS :], 1 / TAPS)
        nn.init.xavier_uniform_(module.value.weight)
        nn.init.xavier_uniform_(module.output.weight)
