"""Binary cross entropy and dice of one mask per class, at sampled points (spec/07 section 7.1)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...registry import MODELS
from ...structures import ClassChannels, OccOutput, OccTargets, label_space
from .class_statistics import class_weights, sampling_weights
from .point_sampler import PointSampler
from .reduction import reduce_mean

OVERSAMPLING = 3  # candidates drawn per point
UNCERTAIN_SHARE = 0.75  # share of the points that are the most uncertain candidates, the rest is uniform


def dice_rows(logits: Tensor, targets: Tensor) -> Tensor:
    """Dice loss of each row with plain sums and smoothing 1: 1 - (2 sum p t + 1) / (sum p + sum t + 1).

    Args:
        logits: [R, P] before the sigmoid.
        targets: [R, P] in {0, 1}.

    Returns:
        [R].
    """
    p = logits.sigmoid()
    overlap = (p * targets).sum(dim=1)
    return 1.0 - (2.0 * overlap + 1.0) / (p.sum(dim=1) + targets.sum(dim=1) + 1.0)


@torch.no_grad()
def select_points(
    logits: Tensor,
    present: Tensor,
    labels: Tensor,
    rarity: Tensor,
    num_points: int,
    ignore: int,
    sampler: PointSampler,
) -> Tensor:
    """Points at which each mask is trained: uncertain ones among rare classes, and some drawn uniformly.

    Args:
        logits: [K, N] one mask per class channel.
        present: [R] channels of the masks to train, one row of points each.
        labels: [N] channel of the class of each cell, or `ignore`.
        rarity: [K] sampling weight of each class channel.
        num_points: points per row P.
        ignore: label of cells that are never drawn.
        sampler: source of the random draws.

    Returns:
        [R, P'] int64 indices of cells, P' <= P where fewer cells are labelled.
    """
    rows = present.numel()
    labelled = labels != ignore
    weights = torch.where(labelled, rarity[labels.masked_fill(~labelled, 0)], rarity.new_zeros(()))
    candidates = sampler.draw(weights, rows, OVERSAMPLING * num_points)
    num_uncertain = int(UNCERTAIN_SHARE * num_points)
    certainty = logits[present[:, None], candidates].abs()
    nearest = certainty.topk(min(num_uncertain, candidates.shape[1]), dim=1, largest=False, sorted=False)
    uniform = sampler.draw((weights > 0).float(), rows, num_points - num_uncertain)
    return torch.cat((candidates.gather(1, nearest.indices), uniform), dim=1)


@dataclass
class MaskSums:
    """Sums over the masks of a batch, before they are normalised.

    Attributes:
        bce: weighted binary cross entropy over all points.
        dice: weighted dice loss over all rows.
        point_weight: sum of weight times number of points.
        row_weight: sum of weights.
    """

    bce: Tensor
    dice: Tensor
    point_weight: Tensor
    row_weight: Tensor


def mask_sums(
    logits: Tensor,
    labels: Tensor,
    weights: Tensor,
    rarity: Tensor,
    num_points: int,
    ignore: int,
    sampler: PointSampler,
) -> MaskSums:
    """Losses of the masks of all classes that are present in one sample.

    Args:
        logits: [K, N] one mask per class channel.
        labels: [N] channel of the class of each cell, or `ignore`.
        weights, rarity: [K] weight of each class in the loss and in the draw of points.
        num_points: points per mask.
        ignore: label of cells without a class.
        sampler: source of the random draws.
    """
    present = labels[labels != ignore].unique(sorted=True)
    points = select_points(logits, present, labels, rarity, num_points, ignore, sampler)
    row_weights = weights[present]
    at_points = logits[present[:, None], points].float()  # rows of N cells are never copied
    targets = (labels[points] == present[:, None]).float()
    bce = functional.binary_cross_entropy_with_logits(at_points, targets, reduction="none").sum(dim=1)
    return MaskSums(
        bce=(bce * row_weights).sum(),
        dice=(dice_rows(at_points, targets) * row_weights).sum(),
        point_weight=row_weights.sum() * points.shape[1],
        row_weight=row_weights.sum(),
    )


class MaskCriterion(nn.Module):
    """Losses of class masks over cells of any kind, voxels or image patches.

    Args:
        channels: which channel is which class.
        num_points: points per mask.
        weight: factor of both losses.
        sampler: source of the random draws.
    """

    class_weight: Tensor
    rarity: Tensor

    def __init__(
        self, channels: ClassChannels, num_points: int, weight: float, sampler: PointSampler | None = None
    ) -> None:
        super().__init__()
        self.num_points = num_points
        self.weight = weight
        self.ignore = channels.space.ignore
        self.sampler = sampler or PointSampler()
        self.register_buffer("class_weight", class_weights(channels), persistent=False)
        self.register_buffer("rarity", sampling_weights(channels), persistent=False)

    def forward(self, logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Losses of a batch, averaged over the masks of all samples and processes.

        Args:
            logits: [B, K, N].
            labels: [B, N] int64 class channels, or the ignore label.

        Returns:
            cross entropy and dice; zero when the batch has no label.
        """
        sums = [
            mask_sums(x, y, self.class_weight, self.rarity, self.num_points, self.ignore, self.sampler)
            for x, y in zip(logits, labels)
        ]
        bce, dice, point_weight, row_weight = (
            torch.stack([getattr(s, name) for s in sums]).sum()
            for name in ("bce", "dice", "point_weight", "row_weight")
        )
        tiny = torch.finfo(torch.float32).tiny
        return (
            self.weight * bce / reduce_mean(point_weight).clamp(min=tiny),
            self.weight * dice / reduce_mean(row_weight).clamp(min=tiny),
        )


@MODELS.register_module()
class MaskLoss(nn.Module):
    """Mask losses of the voxels (spec/07 section 7.1).

    Args:
        num_points: points drawn per sample and class.
        labels: name of the label space.
        void_channel: as in the head.
        weight: factor of both losses.
    """

    def __init__(
        self,
        num_points: int = 25088,
        labels: str = "Occ3D-nuScenes",
        void_channel: bool = False,
        weight: float = 5.0,
    ) -> None:
        super().__init__()
        self.channels = ClassChannels(label_space(labels), void_channel)
        self.criterion = MaskCriterion(self.channels, num_points, weight)

    def forward(self, output: OccOutput, targets: OccTargets) -> dict[str, Tensor]:
        """Compare logits [B, K, Z, Y, X] with labels [B, Z, Y, X]: `loss_mask` and `loss_dice`."""
        labels = self.channels.from_labels(targets.occupancy)
        mask, dice = self.criterion(output.prediction.logits.flatten(2), labels.flatten(1))
        return {"loss_mask": mask, "loss_dice": dice}
