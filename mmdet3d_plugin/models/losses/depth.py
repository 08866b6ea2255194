"""Lidar depth as the target of the predicted depth distribution (spec/02 "Depth losses")."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...errors import ConfigError
from ...registry import MODELS
from ...structures import OccOutput, OccTargets
from ..layers.depth_bins import DepthBins


def _labelled(bins: DepthBins, output: OccOutput, targets: OccTargets) -> tuple[Tensor, Tensor]:
    """Distributions [M, D] and bins [M] at the M patches that have a lidar return in the range."""
    depth = output.aux.depth
    if depth.shape[2] != bins.num:
        raise ConfigError(
            "the depth bins of the loss are not those of the network",
            found=f"{bins.num} bins {bins} in the loss, {depth.shape[2]} in the network",
            fix="use the same depth_bins in both",
        )
    index = bins.targets(targets.depth, stride=targets.depth.shape[-1] // depth.shape[-1])
    valid = index >= 0
    return depth.movedim(2, -1)[valid].float(), index[valid]


@MODELS.register_module()
class DepthCrossEntropy(nn.Module):
    """Mean of -log(p + 1e-8) over the patches with a return, p the probability of the bin of the closest one.

    Args:
        depth_bins: (start, stop, step) in metres.
    """

    def __init__(self, depth_bins: Sequence[float]) -> None:
        super().__init__()
        self.bins = DepthBins.from_config(depth_bins)

    def forward(self, output: OccOutput, targets: OccTargets) -> dict[str, Tensor]:
        """`loss_depth` of depth [B, N, D, h, w] and lidar depth [B, N, H, W] in metres; 0 without returns."""
        depth, index = _labelled(self.bins, output, targets)
        chosen = depth.gather(1, index[:, None])
        return {"loss_depth": -torch.log(chosen + 1e-8).sum() / max(1, index.numel())}


@MODELS.register_module()
class DepthBinaryCrossEntropy(nn.Module):
    """Binary cross entropy with the one-hot bin, summed over bins, mean over the patches with a return.

    Args:
        depth_bins: (start, stop, step) in metres.
        weight: factor of the loss.
    """

    def __init__(self, depth_bins: Sequence[float], weight: float) -> None:
        super().__init__()
        self.bins = DepthBins.from_config(depth_bins)
        self.weight = weight

    def forward(self, output: OccOutput, targets: OccTargets) -> dict[str, Tensor]:
        """`loss_depth` of depth [B, N, D, h, w] and lidar depth [B, N, H, W] in metres; 0 without returns."""
        depth, index = _labelled(self.bins, output, targets)
        one_hot = functional.one_hot(index, self.bins.num).float()
        total = functional.binary_cross_entropy(depth, one_hot, reduction="sum")
        return {"loss_depth": self.weight * total / max(1, index.numel())}
