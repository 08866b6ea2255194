"""Cross entropy over voxels (spec/07 section 7.2)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from ...registry import MODELS
from ...structures import ClassChannels, OccOutput, OccTargets, label_space


@MODELS.register_module()
class VoxelCrossEntropy(nn.Module):
    """Mean cross entropy of a softmax over the labelled voxels.

    Args:
        labels: name of the label space.
        void_channel: as in the head.
        weight: factor of the loss.
    """

    def __init__(self, labels: str = "Occ3D-nuScenes", void_channel: bool = False, weight: float = 1.0) -> None:
        super().__init__()
        self.weight = weight
        self.channels = ClassChannels(label_space(labels), void_channel)

    def forward(self, output: OccOutput, targets: OccTargets) -> dict[str, Tensor]:
        """`loss_voxel` of logits [B, K, Z, Y, X] and labels [B, Z, Y, X]; 0 where nothing is labelled."""
        labels = self.channels.from_labels(targets.occupancy)
        ignore = self.channels.space.ignore
        total = functional.cross_entropy(output.prediction.logits.float(), labels, ignore_index=ignore, reduction="sum")
        return {"loss_voxel": self.weight * total / (labels != ignore).sum().clamp(min=1)}
