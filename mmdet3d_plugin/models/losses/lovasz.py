"""The Lovász extension of the intersection over union, with which occupancy is scored (spec/07 section 7.3)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...registry import MODELS
from ...structures import ClassChannels, OccOutput, OccTargets, label_space


def labelled_voxels(logits: Tensor, channels: Tensor, ignore: int, count: int) -> tuple[Tensor, Tensor]:
    """Probabilities and classes of voxels that have a label.

    Args:
        logits: [B, K, Z, Y, X].
        channels: [B, Z, Y, X] int64 class channel, or `ignore`.
        ignore: label of voxels without a class.
        count: at most so many, drawn without replacement.

    Returns:
        [K, V] float32 softmax probabilities, and [V] class channels.
    """
    flat = channels.flatten()
    kept = (flat != ignore).nonzero().squeeze(1)
    if len(kept) > count:
        kept = kept[torch.randperm(len(kept), device=kept.device)[:count]]
    columns = logits.float().transpose(0, 1).flatten(1).index_select(1, kept)
    return columns.softmax(dim=0), flat[kept]


def lovasz_rows(errors: Tensor, target: Tensor) -> Tensor:
    """Lovász extension of the Jaccard loss (Berman et al. 2018, eq. 9 and algorithm 1).

    Args:
        errors: [C, V] in 0..1, |target - probability|.
        target: [C, V] in {0, 1}.

    Returns:
        [C].
    """
    errors, order = errors.sort(dim=1, descending=True)
    target = target.gather(1, order)
    positives = target.sum(dim=1, keepdim=True)
    intersection = positives - target.cumsum(dim=1)
    union = positives + (1 - target).cumsum(dim=1)
    jaccard = 1 - intersection / union
    steps = torch.cat((jaccard[:, :1], jaccard.diff(dim=1)), dim=1)
    return (errors * steps).sum(dim=1)


@MODELS.register_module()
class LovaszSoftmax(nn.Module):
    """Lovász-softmax over labelled voxels, mean over the classes that are present.

    Args:
        num_voxels: voxels drawn per batch, all classes alike; the time of the loss is that of sorting them once
            per class.
        labels: name of the label space.
        void_channel: as in the head.
        weight: factor of the loss.
    """

    def __init__(
        self,
        num_voxels: int,
        labels: str = "Occ3D-nuScenes",
        void_channel: bool = False,
        weight: float = 1.0,
    ) -> None:
        super().__init__()
        self.num_voxels = num_voxels
        self.weight = weight
        self.channels = ClassChannels(label_space(labels), void_channel)

    def forward(self, output: OccOutput, targets: OccTargets) -> dict[str, Tensor]:
        """`loss_lovasz` of logits [B, K, Z, Y, X] and labels [B, Z, Y, X]; 0 where nothing is labelled."""
        labels = self.channels.from_labels(targets.occupancy)
        probability, classes = labelled_voxels(
            output.prediction.logits, labels, self.channels.space.ignore, self.num_voxels
        )
        present = classes.unique()
        one_hot = (classes == present[:, None]).to(probability)
        rows = lovasz_rows((one_hot - probability[present]).abs(), one_hot)
        return {"loss_lovasz": self.weight * rows.sum() / max(1, present.numel())}
