"""One mask per class, the scalar product of a class prototype with the voxel features."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...registry import MODELS
from ...structures import ClassChannels, Frame, Memory, OccLabels, OccPrediction, Volume, label_space
from ..protocols import FlowGuidance


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
    """Semantic prototypes as mask queries (spec/06 section 6.1), optionally with a flow branch (section 6.2).

    Query c always belongs to class c: there is no matching and no transformer decoder.

    Args:
        in_channels: channels of the encoded volume, and of the queries.
        context_channels: channels of the image features before lifting, which the same queries classify while
            training (`ImageSemanticsLoss`); None = no image branch.
        labels: name of the label space.
        void_channel: have a query 0 that no label uses, as published weights do.
        flow: config of the branch that predicts velocities; None = no flow.
    """

    def __init__(
        self,
        in_channels: int,
        context_channels: int | None,
        labels: str = "Occ3D-nuScenes",
        void_channel: bool = False,
        flow: dict | None = None,
    ) -> None:
        super().__init__()
        self.channels = ClassChannels(label_space(labels), void_channel)
        self.queries = nn.Parameter(torch.randn(self.channels.num_channels, in_channels))
        self.norm = nn.LayerNorm(in_channels)
        self.voxel_embedding = _embedding(in_channels, in_channels)
        self.image_embedding = _embedding(in_channels, context_channels) if context_channels else None
        self.flow = MODELS.build(dict(flow, in_channels=in_channels, labels=labels)) if flow else None

    def forward(
        self, volume: Volume, frame: Frame, memory: Memory | None, guidance: FlowGuidance | None = None
    ) -> tuple[OccPrediction, Memory | None]:
        """Score features [B, C, Z, Y, X].

        Args:
            volume: the encoded volume.
            frame: motion and scene augmentation, for the flow branch.
            memory: of the flow branch.
            guidance: true classes for the flow branch, training only.

        Returns:
            logits [B, K, Z, Y, X] of one sigmoid per class, prototypes [K, C_context] for image features, and
            the velocities of the flow branch; and its memory.
        """
        queries = self.norm(self.queries)
        logits: Tensor = torch.einsum("kc,bczyx->bkzyx", self.voxel_embedding(queries), volume.features)
        prototypes = self.image_embedding(queries) if self.image_embedding is not None else None
        if self.flow is None:
            return OccPrediction(logits, prototypes), None
        flow_logits, memory = self.flow(volume, frame, memory, guidance)
        return OccPrediction(logits, prototypes, self.flow.velocity(flow_logits), flow_logits), memory

    def decode(self, prediction: OccPrediction) -> OccLabels:
        """The label with the highest logit of every voxel, [B, Z, Y, X] uint8, void never wins; and its velocity."""
        return OccLabels(self.channels.to_labels(prediction.logits), prediction.flow)
