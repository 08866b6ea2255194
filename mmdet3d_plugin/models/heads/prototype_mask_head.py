"""One mask per class, the scalar product of a class prototype with the voxel features."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...registry import MODELS
from ...structures import ClassChannels, OccLabels, OccPrediction, Volume, label_space


def _embedding(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(in_channels, in_channels),
        nn.ReLU(),
        nn.Linear(in_channels, in_channels),
        nn.ReLU(),
        nn.Linear(in_channels, out_channels),
    )


@MODELS.register_module()
class PrototypeMaskHead(nn.Module):
    """Semantic prototypes as mask queries (spec/06 section 6.1).

    Query c always belongs to class c: there is no matching and no transformer decoder.

    Args:
        in_channels: channels of the encoded volume, and of the queries.
        context_channels: channels of the image features before lifting, which the same queries classify while
            training (`ImageSemanticsLoss`); None = no image branch.
        labels: name of the label space.
        void_channel: have a query 0 that no label uses, as published weights do.
    """

    def __init__(
        self,
        in_channels: int,
        context_channels: int | None,
        labels: str = "Occ3D-nuScenes",
        void_channel: bool = False,
    ) -> None:
        super().__init__()
        self.channels = ClassChannels(label_space(labels), void_channel)
        self.queries = nn.Parameter(torch.randn(self.channels.num_channels, in_channels))
        self.norm = nn.LayerNorm(in_channels)
        self.voxel_embedding = _embedding(in_channels, in_channels)
        self.image_embedding = _embedding(in_channels, context_channels) if context_channels else None

    def forward(self, volume: Volume) -> OccPrediction:
        """Score features [B, C, Z, Y, X].

        Returns:
            logits [B, K, Z, Y, X] of one sigmoid per class, and prototypes [K, C_context] for image features.
        """
        queries = self.norm(self.queries)
        logits: Tensor = torch.einsum("kc,bczyx->bkzyx", self.voxel_embedding(queries), volume.features)
        prototypes = self.image_embedding(queries) if self.image_embedding is not None else None
        return OccPrediction(logits, prototypes)

    def decode(self, prediction: OccPrediction) -> OccLabels:
        """The label with the highest logit of every voxel, [B, Z, Y, X] uint8; void never wins."""
        return OccLabels(self.channels.to_labels(prediction.logits))
