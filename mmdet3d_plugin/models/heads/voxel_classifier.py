"""A small network per voxel that scores the classes."""

from __future__ import annotations

from torch import nn

from ...registry import MODELS
from ...structures import ClassChannels, Frame, Memory, OccLabels, OccPrediction, Volume, label_space
from ..protocols import FlowGuidance


@MODELS.register_module()
class VoxelClassifier(nn.Module):
    """3-D convolution, then a two-layer perceptron per voxel (spec/06 section 6.3).

    Args:
        in_channels: channels of the encoded volume.
        hidden_channels: width of the perceptron.
        labels: name of the label space.
        void_channel: have a channel 0 that no label uses, as published weights do.
    """

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        labels: str = "Occ3D-nuScenes",
        void_channel: bool = False,
    ) -> None:
        super().__init__()
        self.channels = ClassChannels(label_space(labels), void_channel)
        self.conv = nn.Conv3d(in_channels, in_channels, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.classifier = nn.Sequential(
            nn.Linear(in_channels, hidden_channels),
            nn.Softplus(),
            nn.Linear(hidden_channels, self.channels.num_channels),
        )

    def forward(
        self, volume: Volume, frame: Frame, memory: Memory | None, guidance: FlowGuidance | None = None
    ) -> tuple[OccPrediction, None]:
        """Score features [B, C, Z, Y, X]: logits [B, K, Z, Y, X] of a softmax over K class channels; no memory."""
        del frame, memory, guidance
        features = self.relu(self.conv(volume.features))
        logits = self.classifier(features.permute(0, 2, 3, 4, 1))
        return OccPrediction(logits.permute(0, 4, 1, 2, 3)), None

    def decode(self, prediction: OccPrediction) -> OccLabels:
        """The most likely label of every voxel, [B, Z, Y, X] uint8; void never wins."""
        return OccLabels(self.channels.to_labels(prediction.logits))
