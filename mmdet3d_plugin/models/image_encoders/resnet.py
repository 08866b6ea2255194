"""Residual networks for images (He et al. 2016; spec/01)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ...errors import ConfigError
from ...registry import MODELS
from ..layers.checkpointing import run_checkpointed
from ..layers.residual import BasicBlock, Bottleneck
from .stages import checked_stages

_DEPTHS: dict[int, tuple[type[BasicBlock] | type[Bottleneck], tuple[int, int, int, int]]] = {
    18: (BasicBlock, (2, 2, 2, 2)),
    34: (BasicBlock, (3, 4, 6, 3)),
    50: (Bottleneck, (3, 4, 6, 3)),
    101: (Bottleneck, (3, 4, 23, 3)),
}


@MODELS.register_module()
class ResNet(nn.Module):
    """A residual network of four stages with strides 4, 8, 16, 32. Parameter names are those of torchvision.

    Args:
        depth: 18, 34, 50 or 101.
        out_stages: stages (0..3) whose outputs are returned, ascending.
        base_channels: width of the stem and of the first stage; it doubles with every stage.
        activation_checkpointing: recompute every block in the backward pass, not keeping activations.
    """

    def __init__(
        self,
        depth: int = 50,
        out_stages: Sequence[int] = (2, 3),
        base_channels: int = 64,
        activation_checkpointing: bool = False,
    ) -> None:
        super().__init__()
        if depth not in _DEPTHS:
            raise ConfigError("ResNet.depth", found=depth, expected=f"one of {sorted(_DEPTHS)}")
        block, counts = _DEPTHS[depth]
        self.out_stages = checked_stages("ResNet", out_stages)
        self.activation_checkpointing = activation_checkpointing
        self.conv1 = nn.Conv2d(3, base_channels, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(base_channels)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        channels = base_channels
        for stage in range(self.out_stages[-1] + 1):
            width = base_channels * 2**stage
            layer = _stage(block, channels, width, counts[stage], stride=1 if stage == 0 else 2)
            self.add_module(f"layer{stage + 1}", layer)
            channels = width * block.expansion
        self.out_channels = tuple(base_channels * 2**s * block.expansion for s in self.out_stages)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Map images [M, 3, H, W] to the outputs of `out_stages`, [M, C, H / 2^(s+2), W / 2^(s+2)] each."""
        return self._run(images, self.out_stages[-1])

    @torch.no_grad()
    def finest(self, images: Tensor) -> Tensor:
        """Only the first of the outputs of :meth:`forward`, without gradient; later stages are not computed.

        In training it updates the running statistics of these stages, as the published models do (spec/01).
        """
        return self._run(images, self.out_stages[0])[0]

    def _run(self, images: Tensor, last: int) -> tuple[Tensor, ...]:
        x = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        outputs = []
        for stage in range(last + 1):
            for block in self.get_submodule(f"layer{stage + 1}").children():
                x = run_checkpointed(block, block, x) if self.activation_checkpointing else block(x)
            if stage in self.out_stages:
                outputs.append(x)
        return tuple(outputs)


def _stage(
    block: type[BasicBlock] | type[Bottleneck], in_channels: int, width: int, count: int, stride: int
) -> nn.Sequential:
    out_channels = width * block.expansion
    downsample = None
    if stride != 1 or in_channels != out_channels:
        downsample = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, 1, stride, bias=False), nn.BatchNorm2d(out_channels)
        )
    first = block(in_channels, width, stride, downsample)
    return nn.Sequential(first, *(block(out_channels, width) for _ in range(count - 1)))
