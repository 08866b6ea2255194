"""Velocities of labelled voxels (ALOccFlow; spec/07 section 7.4)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...errors import ConfigError
from ...registry import MODELS
from ...structures import OccOutput, OccTargets
from ..layers.velocity_bins import VelocityBins


@MODELS.register_module()
class FlowLoss(nn.Module):
    """Squared error, direction and bin of the velocity of every voxel that has one.

    Args:
        bins: (start, stop, step) of the velocities in m/s, as in the flow head.
    """

    def __init__(self, bins: Sequence[float]) -> None:
        super().__init__()
        self.bins = VelocityBins.from_config(bins)

    def forward(self, output: OccOutput, targets: OccTargets) -> dict[str, Tensor]:
        """Compare flow [B, 2, Z, Y, X] and its bins with the targets [B, 2, Z, Y, X] in m/s, inf = no label.

        Returns:
            `loss_flow`, the mean squared error of a component; `loss_flow_cosine`, the mean of the negative
            cosine between predicted and true velocity; `loss_flow_bins`, the mean cross entropy of the bin
            closest to a component. All are 0 where nothing is labelled.

        Raises:
            ConfigError: the head predicts no flow or has other bins, or the targets have no flow.
        """
        flow, logits = output.prediction.flow, output.prediction.flow_logits
        if flow is None or logits is None:
            raise ConfigError(
                "FlowLoss needs a head that predicts flow",
                fix="give the head flow=dict(type='CostVolumeFlow', ...), or remove the loss",
            )
        if targets.flow is None:
            raise ConfigError("FlowLoss needs flow labels", fix="train on OpenOccLabels, or remove the loss")
        if logits.shape[1] != self.bins.num:
            raise ConfigError(
                "the velocity bins of the loss are not those of the head",
                found=f"{self.bins.num} bins {self.bins} in the loss, {logits.shape[1]} in the head",
                fix="use the same bins in both",
            )
        labelled = targets.flow.isfinite().all(dim=1)
        if not labelled.any():
            nothing = 0.0 * flow.sum()
            return {"loss_flow": nothing, "loss_flow_cosine": nothing, "loss_flow_bins": 0.0 * logits.sum()}
        predicted = flow.movedim(1, -1)[labelled]
        truth = targets.flow.movedim(1, -1)[labelled].to(predicted.dtype)
        scores = logits.permute(0, 3, 4, 5, 1, 2)[labelled]
        return {
            "loss_flow": functional.mse_loss(predicted, truth),
            "loss_flow_cosine": -torch.cosine_similarity(predicted, truth, dim=-1).mean(),
            "loss_flow_bins": functional.cross_entropy(scores, self.bins.index(truth)),
        }
