"""Voxel metrics: one confusion matrix over the data set, every number a pure function of it (spec/metrics 2
to 4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from ..structures import LabelSpace
from .scores import Absent, ClassScore, Mode, class_scores, iou, mean

Counts = dict[str, np.ndarray]
MASKS = ("camera", "all")


@dataclass(frozen=True)
class VoxelRule:
    """How a mean over classes is taken from a confusion matrix.

    Attributes:
        suffix: appended to the metric names.
        skip: classes that leave the mean besides the free class.
        absent: convention for a class that neither truth nor prediction has.
        ignored: what a voxel without a valid truth label is: not scored ("drop"), not scored among the
            classes but occupied in the geometric IoU ("occupied"), or free ("free").
    """

    suffix: str = ""
    skip: tuple[str, ...] = ()
    absent: Absent = "skip"
    ignored: Literal["drop", "occupied", "free"] = "drop"


_DENSE = VoxelRule(ignored="occupied")  # spec 2.6: the published binary histogram has no range test
_NO_OTHERS = ("others",)
_SPARSE = (
    VoxelRule(skip=_NO_OTHERS, absent="nan"),  # spec 3.1, 3.2: the rule of the data set's authors
    VoxelRule("/occstudio", skip=_NO_OTHERS, absent="zero", ignored="free"),  # spec 3.3
)
_PUBLISHED_RULES = {
    "SurroundOcc": _SPARSE,
    "OpenOccupancy": _SPARSE,
    "Occ3D-Waymo": (_DENSE, VoxelRule("/14", skip=("motorcycle",), ignored="occupied")),  # spec 4
}
_CORRECTED_RULES = {
    "SurroundOcc": (VoxelRule(skip=_NO_OTHERS),),
    "OpenOccupancy": (VoxelRule(skip=_NO_OTHERS),),
    "Occ3D-Waymo": (VoxelRule(), VoxelRule("/14", skip=("motorcycle",))),
}


def voxel_rules(space: LabelSpace, mode: Mode) -> tuple[VoxelRule, ...]:
    """Rules that a label space is scored with."""
    if mode == "published":
        return _PUBLISHED_RULES.get(space.name, (_DENSE,))
    return _CORRECTED_RULES.get(space.name, (VoxelRule(),))


def empty_voxel_counts(num_classes: int) -> Counts:
    """Counts of no frame, see `voxel_counts`."""
    return {
        "voxels": np.zeros((2, num_classes + 1, num_classes), np.int64),
        "frames_with_camera_mask": np.zeros((), np.int64),
    }


def voxel_counts(prediction: Tensor, truth: Tensor, mask: Tensor | None, num_classes: int) -> Counts:
    """Confusion matrix of one frame inside and outside of the camera mask, in one pass.

    Args:
        prediction: [Z, Y, X] uint8 label ids < num_classes.
        truth: [Z, Y, X] uint8 label ids; anything >= num_classes is ignored and counted in a row of its own.
        mask: [Z, Y, X] bool camera mask, None where the data set has none.
        num_classes: C, the free class included.

    Returns:
        "voxels" [2, C + 1, C] int64, axes: outside or inside of the mask, truth (row C: ignored), prediction;
        and "frames_with_camera_mask", 1 or 0.
    """
    code = truth.clamp(max=num_classes).to(torch.int16)
    if mask is not None:
        code += mask.to(torch.int16) * (num_classes + 1)
    code = code * num_classes + prediction
    bins = torch.bincount(code.reshape(-1), minlength=2 * (num_classes + 1) * num_classes)
    return {
        "voxels": bins.view(2, num_classes + 1, num_classes).cpu().numpy().astype(np.int64),
        "frames_with_camera_mask": np.asarray(int(mask is not None), np.int64),
    }


def confusion(counts: Counts, mask: str) -> np.ndarray:
    """Confusion matrix [C + 1, C] of a mask, "camera" or "all"; rows are truth, the last one ignored."""
    return counts["voxels"][1] if mask == "camera" else counts["voxels"].sum(axis=0)


def masks_of(counts: Counts) -> tuple[str, ...]:
    """Masks that the counted frames can be scored with."""
    return MASKS if counts["frames_with_camera_mask"] else ("all",)


def voxel_class_scores(matrix: np.ndarray, space: LabelSpace, rule: VoxelRule) -> list[ClassScore]:
    """Scores of all classes, the free class included.

    Args:
        matrix: [C + 1, C] as `confusion` gives it.
        space: its label space.
        rule: decides whether ignored truth counts as free.
    """
    scored = _scored(matrix, space, rule)
    return class_scores(space.classes, scored.diagonal(), scored.sum(axis=1), scored.sum(axis=0))


def voxel_metrics(counts: Counts, space: LabelSpace, mode: Mode) -> dict[str, float]:
    """mIoU, mIoU_D and geometric IoU of every mask and rule, as `name + suffix @ mask`, fractions."""
    result = {}
    for mask in masks_of(counts):
        matrix = confusion(counts, mask)
        for rule in voxel_rules(space, mode):
            scored = _scored(matrix, space, rule)
            values = iou(scored.diagonal(), scored.sum(axis=1), scored.sum(axis=0))
            classes = [i for i in space.semantic if space.classes[i] not in rule.skip]
            dynamic = [i for i in space.dynamic if space.classes[i] not in rule.skip]
            result[f"mIoU{rule.suffix}@{mask}"] = mean(values[classes], rule.absent)
            result[f"mIoU_D{rule.suffix}@{mask}"] = mean(values[dynamic], rule.absent)
            matched, truth, predicted = occupied_counts(matrix, space, rule)
            result[f"IoU{rule.suffix}@{mask}"] = float(iou(matched, truth, predicted))
    return result


def occupied_counts(matrix: np.ndarray, space: LabelSpace, rule: VoxelRule) -> tuple[np.ndarray, ...]:
    """Matched, truth and predicted counts of the class "not free" (spec/metrics 2.6), sums of the confusion
    matrix.

    Args:
        matrix: [C + 1, C] as `confusion` gives it.
        space: its label space.
        rule: decides what ignored truth is.
    """
    free = np.zeros(matrix.shape[0], bool)
    free[space.free] = True
    free[-1] = rule.ignored == "free"
    rows = matrix[:-1] if rule.ignored == "drop" else matrix
    free_rows, free_columns = free[: len(rows)], free[:-1]
    truth_occupied = rows[~free_rows]
    return truth_occupied[:, ~free_columns].sum(), truth_occupied.sum(), rows[:, ~free_columns].sum()


def _scored(matrix: np.ndarray, space: LabelSpace, rule: VoxelRule) -> np.ndarray:
    """[C, C] matrix of the voxels that a rule scores by class."""
    scored = matrix[:-1].copy()
    if rule.ignored == "free":
        scored[space.free] += matrix[-1]
    return scored
