"""Precision, recall and specificity of every class as losses (MonoScene; spec/07 section 7.3)."""

from __future__ import annotations

from torch import Tensor, nn

from ...registry import MODELS
from ...structures import ClassChannels, OccOutput, OccTargets, label_space
from .lovasz import labelled_voxels

_EPSILON = 1e-5


def affinity_rows(probability: Tensor, target: Tensor) -> Tensor:
    """-log precision - log recall - log specificity of soft masks (MonoScene, eq. 1 to 4).

    Precision is left out of a row without any probability, specificity of a row without negatives.

    Args:
        probability: [C, V] in 0..1.
        target: [C, V] in {0, 1}, at least one voxel of every row is 1.

    Returns:
        [C].
    """
    overlap, predicted, positives = (probability * target).sum(1), probability.sum(1), target.sum(1)
    negatives = (1 - target).sum(1)
    rejected = ((1 - probability) * (1 - target)).sum(1)

    def penalty(part: Tensor, whole: Tensor) -> Tensor:
        ratio = part / (whole + _EPSILON)
        return -ratio.clamp(_EPSILON, 1 - _EPSILON).log() * (whole > 0)

    return penalty(overlap, predicted) + penalty(overlap, positives) + penalty(rejected, negatives)


@MODELS.register_module()
class SceneClassAffinity(nn.Module):
    """Mean of the affinity losses of the classes that are present, free space excluded.

    Unlike those of a cross entropy, its gradients do not shrink with the share of a class in the scene.

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
        """`loss_affinity` of logits [B, K, Z, Y, X] and labels [B, Z, Y, X]; 0 where nothing but free is labelled."""
        labels = self.channels.from_labels(targets.occupancy)
        probability, classes = labelled_voxels(
            output.prediction.logits, labels, self.channels.space.ignore, count=labels.numel()
        )
        present = classes.unique()
        present = present[present != self.channels.free]
        one_hot = (classes == present[:, None]).to(probability)
        rows = affinity_rows(probability[present], one_hot)
        return {"loss_affinity": self.weight * rows.sum() / max(1, present.numel())}
