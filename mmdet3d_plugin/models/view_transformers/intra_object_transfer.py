"""From the probability of a surface to the probability of being inside or behind it (ALOcc; spec/02)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...registry import MODELS
from ..layers.residual import BasicBlock


def transfer_along_rays(depth: Tensor, weights: Tensor) -> Tensor:
    """Let every depth bin pass its mass on to the bins behind it.

        occupancy(d) = p(d) + sum over k = 1..L of w_k p(d - k)

    A causal convolution along the ray whose weights differ from pixel to pixel, written as L shifted sums
    instead of a D x D matrix per pixel. The result is not normalised and may exceed one (spec/99 A2).

    Args:
        depth: [M, D, h, w] distribution p over depth bins.
        weights: [M, L, h, w] in 0..1; `weights[:, k - 1]` is w_k.

    Returns:
        [M, D, h, w].
    """
    bins = depth.shape[1]
    occupancy = depth
    for k in range(1, min(weights.shape[1], bins - 1) + 1):
        shifted = weights[:, k - 1, None] * depth[:, : bins - k]
        occupancy = occupancy + torch.nn.functional.pad(shifted, (0, 0, 0, 0, k, 0))
    return occupancy


@MODELS.register_module()
class IntraObjectTransfer(nn.Module):
    """Predicts per pixel how far objects reach behind their visible surface.

    Args:
        length: number L of bins behind a surface that receive mass.
        in_channels: channels of the features.
        mid_channels: width of the network and of the shared shortcut.
    """

    def __init__(self, length: int, in_channels: int, mid_channels: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(BasicBlock(in_channels if i == 0 else mid_channels, mid_channels) for i in range(3))
        self.output = nn.Conv2d(mid_channels, length, 1)

    def forward(self, features: Tensor, shortcut: Tensor, depth: Tensor) -> Tensor:
        """Turn depth into occupancy along rays.

        Args:
            features: [M, C, h, w] the features that depth is predicted from.
            shortcut: [M, C_mid, h, w] what the first block adds; shared with the depth branch.
            depth: [M, D, h, w] distribution over depth bins.

        Returns:
            [M, D, h, w] lifting weights.
        """
        x = self.blocks[0](features, shortcut)
        for block in self.blocks[1:]:
            x = block(x)
        return transfer_along_rays(depth, self.output(x).float().sigmoid())
