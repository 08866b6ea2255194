"""Flow metrics of OpenOcc (spec/metrics 6): velocity errors of voxels and rays, OccScore, the challenge.

Errors are Euclidean norms of the difference of two velocities, m/s, computed in float32 and summed in
float64.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..structures import LabelSpace, VoxelGrid
from .ray_iou import THRESHOLDS, FrameRays, cast_frame, ray_iou_matrix
from .scores import Mode, mean

Counts = dict[str, np.ndarray]
TP_THRESHOLD = 2  # metres
MISSED_ERROR = 1.0  # m/s; error at which the OccScore term is 0, for classes that are never matched (defects D4)
_MATCH_ROW = THRESHOLDS.index(TP_THRESHOLD)


def empty_flow_counts(num_classes: int) -> Counts:
    """Sums of no frame, see `flow_counts`."""
    sums = {f"flow_{kind}_error": np.zeros(num_classes, np.float64) for kind in ("voxel", "ray", "matched")}
    return {**sums, "flow_voxels": np.zeros(num_classes, np.int64)}


def flow_counts(prediction: Tensor, target: Tensor, labels: Tensor, rays: FrameRays, space: LabelSpace) -> Counts:
    """Sums of velocity errors of one frame, by truth class; zero for classes without flow.

    Args:
        prediction: [2, Z, Y, X] velocity in m/s.
        target: [2, Z, Y, X] true velocity in m/s; inf (no label) stands for 0, what the data set stores
            there.
        labels: [Z, Y, X] uint8 truth labels.
        rays: the rays of the frame.
        space: label space; its `flow` classes are scored.

    Returns:
        "flow_voxel_error" over all voxels of a class and their number "flow_voxels"; "flow_ray_error" over
        scored rays (number: "rays_truth"); "flow_matched_error" over rays matched at 2 m (number:
        "rays_matched").
    """
    target = without_inf(target)
    error = _norm(prediction.float() - target).reshape(-1)
    flat = labels.reshape(-1)
    voxels = torch.isin(flat, torch.tensor(space.flow, dtype=flat.dtype, device=flat.device))
    ray_error = _ray_errors(prediction.float(), target, rays)
    flowing = torch.isin(rays.truth, torch.tensor(space.flow, dtype=flat.dtype, device=flat.device))
    scored, matched = rays.scored & flowing, rays.matched(TP_THRESHOLD) & flowing
    classes = space.num_classes
    return {
        "flow_voxel_error": _sums(flat[voxels], error[voxels], classes),
        "flow_ray_error": _sums(rays.truth[scored], ray_error[scored], classes),
        "flow_matched_error": _sums(rays.truth[matched], ray_error[matched], classes),
        "flow_voxels": torch.bincount(flat[voxels], minlength=classes).cpu().numpy().astype(np.int64),
    }


def flow_class_errors(counts: Counts, space: LabelSpace, mode: Mode) -> dict[str, np.ndarray]:
    """Average velocity error of every flow class, m/s: "AVE" of voxels, "AVE_ray", "AVE_TP"; NaN for none.

    In corrected mode a class that occurs in truth but is never matched gets an AVE_TP of 1 m/s.
    """
    classes = list(space.flow)
    truth, matched = counts["rays_truth"][classes], counts["rays_matched"][_MATCH_ROW][classes]
    matched_error = _ratio(counts["flow_matched_error"][classes], matched)
    if mode == "corrected":
        matched_error = np.where((matched == 0) & (truth > 0), MISSED_ERROR, matched_error)
    return {
        "AVE": _ratio(counts["flow_voxel_error"][classes], counts["flow_voxels"][classes]),
        "AVE_ray": _ratio(counts["flow_ray_error"][classes], truth),
        "AVE_TP": matched_error,
    }


def flow_metrics(counts: Counts, space: LabelSpace, mode: Mode) -> dict[str, float]:
    """mAVE, mAVE_ray and mAVE_TP in m/s, and OccScore; means leave classes without a value out."""
    result = {f"m{name}": mean(values) for name, values in flow_class_errors(counts, space, mode).items()}
    result["OccScore"] = occ_score(mean(ray_iou_matrix(counts, space)), result["mAVE_TP"])
    return result


def occ_score(ray_iou: float, error: float) -> float:
    """0.9 RayIoU + 0.1 max(1 - mAVE, 0) with the error in m/s; NaN where one of them is (spec/metrics 6)."""
    return float(0.9 * ray_iou + 0.1 * np.maximum(1.0 - error, 0.0))


def empty_challenge_counts(num_classes: int) -> Counts:
    """Counts of no frame, see `challenge_counts`."""
    return {
        "challenge_truth": np.zeros(num_classes + 1, np.int64),
        "challenge_predicted": np.zeros(num_classes, np.int64),
        "challenge_matched": np.zeros((len(THRESHOLDS), num_classes), np.int64),
        "challenge_error": np.zeros(num_classes, np.float64),
        "challenge_rays": np.zeros(num_classes, np.int64),
    }


def challenge_counts(
    prediction: tuple[Tensor, Tensor],
    truth: tuple[Tensor, Tensor],
    origins: Tensor,
    grid: VoxelGrid,
    space: LabelSpace,
) -> Counts:
    """Counts of the challenge program: rays in float32, distances and flow in float16 (spec/metrics 6, D3).

    Its velocity error of a class is not restricted to that class: a class with a match at 2 m is given the
    errors of all scored rays of the frame.

    Args:
        prediction, truth: labels [Z, Y, X] uint8 and velocity [2, Z, Y, X] in m/s.
        origins: [K, 3] metres.
        grid: their grid.
        space: their label space.
    """
    rays = cast_frame(prediction[0], truth[0], origins, grid, space, "published", precision="single")
    distance = rays.hits.distance.half()
    rays.error = (distance[1] - distance[0]).abs().reshape(-1)
    classes = space.num_classes
    labels = rays.truth.clamp(max=classes)
    matched = torch.stack(
        [torch.bincount(labels[rays.matched(t)], minlength=classes)[:classes] for t in THRESHOLDS]
    ).cpu()
    error = _ray_errors(prediction[1].half().float(), without_inf(truth[1]).half().float(), rays)
    scored = error[rays.scored].double()
    found = (matched[_MATCH_ROW] > 0).numpy()
    return {
        "challenge_truth": torch.bincount(labels[rays.scored], minlength=classes + 1).cpu().numpy(),
        "challenge_predicted": torch.bincount(rays.predicted[rays.scored], minlength=classes).cpu().numpy(),
        "challenge_matched": matched.numpy(),
        "challenge_error": np.where(found, float(scored.sum()), 0.0),
        "challenge_rays": found * np.int64(len(scored)),
    }


def challenge_metrics(counts: Counts, space: LabelSpace) -> dict[str, float]:
    """RayIoU, mAVE (m/s) and OccScore as the challenge program prints them."""
    rays = {f"rays_{name}": counts[f"challenge_{name}"] for name in ("truth", "predicted", "matched")}
    ray_iou = mean(ray_iou_matrix(rays, space))
    classes = list(space.flow)
    error = mean(_ratio(counts["challenge_error"][classes], counts["challenge_rays"][classes]))
    return {
        "challenge/RayIoU": ray_iou,
        "challenge/mAVE": error,
        "challenge/OccScore": occ_score(ray_iou, error),
    }


def without_inf(flow: Tensor) -> Tensor:
    """A true velocity with 0 in place of inf: the loader marks voxels without a flow class that way."""
    return torch.where(torch.isinf(flow), torch.zeros_like(flow), flow)


def _norm(difference: Tensor) -> Tensor:
    return torch.sqrt((difference * difference).sum(dim=0))


def _ray_errors(prediction: Tensor, target: Tensor, rays: FrameRays) -> Tensor:
    """[N] float32 velocity error between the end cells of every ray."""
    true_cell, predicted_cell = (cell.reshape(-1).long() for cell in rays.hits.cell)
    return _norm(prediction.reshape(2, -1)[:, predicted_cell] - target.reshape(2, -1)[:, true_cell])


def _sums(labels: Tensor, errors: Tensor, classes: int) -> np.ndarray:
    return torch.bincount(labels, weights=errors.double(), minlength=classes).cpu().numpy()


def _ratio(total: np.ndarray, count: np.ndarray) -> np.ndarray:
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
