"""RayIoU: do prediction and truth end a lidar-like ray at the same class and distance? (spec/metrics 5.4)"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..structures import LabelSpace, VoxelGrid
from .ray_casting import Precision, RayHits, Start, cast_rays, ray_table
from .scores import ClassScore, Mode, class_scores, iou, mean

Counts = dict[str, np.ndarray]
THRESHOLDS = (1, 2, 4)  # whole metres, ascending
_TRUTH, _PREDICTION = 0, 1  # order of the cast volumes
_SCORED, _FREE = 1, 2  # kinds of rays


@dataclass
class FrameRays:
    """Rays of one frame in truth and prediction, K origins by R directions flattened to N.

    Attributes:
        hits: end cells of both volumes, truth first.
        truth, predicted: [N] uint8 labels at the end cells.
        error: [N] float32, absolute difference of the two distances, metres.
        scored: [N] bool, rays that count.
        free: [N] bool, rays without an obstacle in truth.
    """

    hits: RayHits
    truth: Tensor
    predicted: Tensor
    error: Tensor
    scored: Tensor
    free: Tensor

    def matched(self, threshold: float) -> Tensor:
        """[N] bool, scored rays of the right class with a distance error strictly below a threshold (m)."""
        return self.scored & (self.predicted == self.truth) & (self.error < threshold)


def cast_frame(
    prediction: Tensor,
    truth: Tensor,
    origins: Tensor,
    grid: VoxelGrid,
    space: LabelSpace,
    mode: Mode,
    precision: Precision = "double",
) -> FrameRays:
    """Cast the rays of a frame into truth and prediction, in one traversal.

    Published mode scores every ray whose truth is not free; a ray that never meets the volume gets the label
    of voxel (0, 0, 0). Corrected mode floors the start cell and leaves rays that never meet the volume, or
    end in an ignored truth voxel, out (spec/metrics 5.3, defects D7, D8).

    Args:
        prediction, truth: [Z, Y, X] uint8 label ids; every id but the free one stops a ray.
        origins: [K, 3] float64, metres, frame of the grid.
        grid: their grid.
        space: their label space.
        mode: "published" or "corrected".
        precision: of the preparation of the rays, see `cast_rays`.
    """
    occupied = torch.stack((truth, prediction)).bitwise_xor_(space.free).bool()  # `!= free`, an eighth of the time
    start: Start = "truncate" if mode == "published" else "floor"
    hits = cast_rays(occupied, origins, ray_table(truth.device), grid, start=start, precision=precision)
    truth_label = hits.gather(truth, _TRUTH).reshape(-1)
    error = (hits.distance[_PREDICTION] - hits.distance[_TRUTH]).abs().reshape(-1)
    scored = (truth_label ^ space.free).bool()
    free = ~scored
    if mode == "corrected":
        entered = hits.entered.reshape(-1)
        scored, free = scored & entered & (truth_label < space.num_classes), free & entered
    return FrameRays(hits, truth_label, hits.gather(prediction, _PREDICTION).reshape(-1), error, scored, free)


def empty_ray_counts(num_classes: int) -> Counts:
    """Counts of no frame, see `ray_counts`."""
    return {
        "rays_truth": np.zeros(num_classes + 1, np.int64),
        "rays_predicted": np.zeros(num_classes, np.int64),
        "rays_matched": np.zeros((len(THRESHOLDS), num_classes), np.int64),
        "rays_free": np.zeros(2, np.int64),
    }


def ray_counts(rays: FrameRays, space: LabelSpace) -> Counts:
    """Count the rays of a frame.

    Returns:
        int64 arrays: "rays_truth" [C + 1] scored rays by truth label (entry C: ignored labels),
        "rays_predicted" [C] scored rays by predicted label, "rays_matched" [3, C] matches at each threshold
        by label, "rays_free" [2] rays without an obstacle in truth, by whether the prediction has none or
        one.
    """
    classes, farthest = space.num_classes, THRESHOLDS[-1]
    # A ray falls into one cell of a table: what it is counted as, both labels, and its error in whole metres.
    shape = (3, classes + 1, classes, farthest + 1)
    cell = rays.scored.to(torch.int32).mul_(_SCORED).add_(rays.free, alpha=_FREE)
    for size, index in zip(shape[1:], (rays.truth.clamp(max=classes), rays.predicted, rays.error.clamp(max=farthest))):
        cell.mul_(size).add_(index.to(torch.int32))
    table = torch.bincount(cell, minlength=math.prod(shape)).cpu().numpy().reshape(shape)
    scored, free = table[_SCORED], table[_FREE].sum(axis=(0, 2))
    right = scored[range(classes), range(classes)]  # [C, metres] rays of the right class
    return {
        "rays_truth": scored.sum(axis=(1, 2)),
        "rays_predicted": scored.sum(axis=(0, 2)),
        "rays_matched": np.stack([right[:, :threshold].sum(axis=1) for threshold in THRESHOLDS]),
        "rays_free": np.array([free[space.free], free.sum() - free[space.free]]),
    }


def ray_iou_matrix(counts: Counts, space: LabelSpace) -> np.ndarray:
    """IoU of every threshold and class but free, [3, C - 1] float64; NaN where a class does not occur."""
    classes = list(space.semantic)
    truth, predicted = counts["rays_truth"][classes], counts["rays_predicted"][classes]
    return iou(counts["rays_matched"][:, classes], truth, predicted)


def ray_class_scores(counts: Counts, space: LabelSpace) -> dict[int, list[ClassScore]]:
    """Scores of all classes but free at each threshold (metres)."""
    classes = list(space.semantic)
    names = [space.classes[i] for i in classes]
    truth, predicted = counts["rays_truth"][classes], counts["rays_predicted"][classes]
    return {
        threshold: class_scores(names, matched[classes], truth, predicted)
        for threshold, matched in zip(THRESHOLDS, counts["rays_matched"])
    }


def ray_metrics(counts: Counts, space: LabelSpace, mode: Mode) -> dict[str, float]:
    """RayIoU, its terms and, in corrected mode, the share of free rays with a hallucinated obstacle (D6)."""
    matrix = ray_iou_matrix(counts, space)
    result = {"RayIoU": mean(matrix)}
    result.update({f"RayIoU@{threshold}": mean(row) for threshold, row in zip(THRESHOLDS, matrix)})
    if mode == "corrected":
        total = int(counts["rays_free"].sum())
        result["ray_hallucination"] = int(counts["rays_free"][1]) / total if total else float("nan")
    return result
