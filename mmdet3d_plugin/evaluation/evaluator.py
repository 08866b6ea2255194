"""The evaluator: batches in, counts kept, metrics out. The same object in training, testing and offline
scoring."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from ..errors import ConfigError, EvaluationError, closest
from ..structures import LabelSpace, OccTargets, VoxelGrid
from .miou import empty_voxel_counts, voxel_counts
from .ray_iou import cast_frame, empty_ray_counts, ray_counts
from .scores import ClassScore, Mode
from .state import EvaluationState

_EMPTY = {"miou": empty_voxel_counts, "ray_iou": empty_ray_counts}


class OccupancyEvaluator:
    """Scores predictions frame by frame and keeps nothing but counts and sample ids.

    Args:
        space: label space of prediction and truth.
        grid: grid of prediction and truth.
        metrics: "miou" (mIoU, mIoU_D, IoU inside the camera mask and on all voxels) and "ray_iou".
        mode: "published" reproduces published numbers bit for bit, quirks included; "corrected" removes the
            quirks (docs/metrics.md lists them).

    Raises:
        ConfigError: an unknown metric or mode.
    """

    def __init__(
        self, space: LabelSpace, grid: VoxelGrid, metrics: Sequence[str] = ("miou",), mode: Mode = "published"
    ):
        for name in metrics:
            if name not in _EMPTY:
                raise ConfigError(f"no metric {name!r}", expected=closest(name, _EMPTY))
        if mode not in ("published", "corrected"):
            raise ConfigError("evaluation mode", found=mode, expected="'published' or 'corrected'")
        self.space, self.grid, self.metrics = space, grid, tuple(metrics)
        counts = {k: v for name in metrics for k, v in _EMPTY[name](space.num_classes).items()}
        self._state = EvaluationState(space, mode, counts)

    def update(self, occupancy: Tensor, targets: OccTargets, tokens: Sequence[str]) -> None:
        """Score a batch. A batch that raises leaves the counts as they were.

        Args:
            occupancy: [B, Z, Y, X] uint8 predicted label ids.
            targets: `occupancy` [B, Z, Y, X]; `mask_camera` where the data set has one; `ray_origins` for
                RayIoU.
            tokens: B sample tokens.

        Raises:
            EvaluationError: a shape, dtype or label is wrong, a target is missing, or a sample comes twice.
        """
        truth = self._check(occupancy, targets, tokens)
        for index, token in enumerate(tokens):
            self._add(self._count(occupancy[index], truth[index], targets, index))
            self._state.tokens.append(token)

    def _count(self, prediction: Tensor, truth: Tensor, targets: OccTargets, index: int) -> dict:
        counts = {}
        if "miou" in self.metrics:
            mask = targets.mask_camera
            inside = None if mask is None else mask[index].to(prediction.device)
            counts.update(voxel_counts(prediction, truth, inside, self.space.num_classes))
        if "ray_iou" in self.metrics:
            assert targets.ray_origins is not None  # checked for the batch
            origins = targets.ray_origins[index]
            rays = cast_frame(prediction, truth, origins, self.grid, self.space, self._state.mode)
            counts.update(ray_counts(rays, self.space))
        return counts

    def _add(self, counts: dict) -> None:
        for name, value in counts.items():
            self._state.counts[name] = self._state.counts[name] + value

    def state(self) -> EvaluationState:
        """What was counted so far, independent of later updates."""
        return EvaluationState(
            self.space, self._state.mode, dict(self._state.counts), list(self._state.tokens)
        )

    def reset(self) -> None:
        """Forget all samples."""
        for name, value in self._state.counts.items():
            self._state.counts[name] = value * 0
        self._state.tokens.clear()

    def compute(self) -> dict[str, float]:
        """All metrics as fractions; NaN where nothing was scored."""
        return self._state.compute()

    def class_table(self) -> dict[str, list[ClassScore]]:
        """Score and status of every class, by metric."""
        return self._state.class_table()

    def check_complete(self, expected: Iterable[str]) -> None:
        """Require that exactly the expected samples were scored, each once; see `EvaluationState`."""
        self._state.check_complete(expected)

    def _check(self, occupancy: Tensor, targets: OccTargets, tokens: Sequence[str]) -> Tensor:
        """Refuse what cannot be scored; returns the truth on the device of the prediction."""
        names = ", ".join(tokens)
        repeated = set(tokens) & set(self._state.tokens) or (
            set(tokens) if len(set(tokens)) < len(tokens) else None
        )
        if repeated:
            raise EvaluationError(f"sample {', '.join(sorted(repeated))} was scored already")
        truth = targets.occupancy
        if truth is None:
            raise EvaluationError(f"no ground truth for sample {names}")
        volumes = {"prediction": occupancy, "ground truth": truth}
        if targets.mask_camera is not None:
            volumes["camera mask"] = targets.mask_camera
        for what, volume in volumes.items():
            dtype = torch.bool if what == "camera mask" else torch.uint8
            if tuple(volume.shape) != (len(tokens), *self.grid.zyx) or volume.dtype != dtype:
                raise EvaluationError(
                    f"{what} of sample {names}",
                    found=f"{volume.dtype} {tuple(volume.shape)}",
                    expected=f"{dtype} [B, Z, Y, X] = {(len(tokens), *self.grid.zyx)}",
                )
        for token, volume in zip(tokens, occupancy):
            if int(volume.max()) >= self.space.num_classes:
                raise EvaluationError(
                    f"prediction of sample {token} holds a label that {self.space.name} does not have",
                    found=int(volume.max()),
                    expected=f"0 to {self.space.num_classes - 1}",
                )
        self._check_auxiliary(targets, len(tokens), names)
        return truth.to(occupancy.device)

    def _check_auxiliary(self, targets: OccTargets, batch: int, names: str) -> None:
        if "ray_iou" in self.metrics and (targets.ray_origins is None or len(targets.ray_origins) != batch):
            raise EvaluationError(
                f"RayIoU needs the ray origins of sample {names}",
                found=None if targets.ray_origins is None else f"{len(targets.ray_origins)} sets of origins",
                expected=f"{batch} sets of origins",
                fix="load them with the targets (`lidar_origins`)",
            )
        if "miou" in self.metrics and self._state.tokens:
            had_mask = bool(self._state.counts["frames_with_camera_mask"])
            if had_mask != (targets.mask_camera is not None):
                raise EvaluationError(
                    f"camera mask of sample {names}",
                    found="present" if targets.mask_camera is not None else "none",
                    expected="a mask in every sample or in none",
                )
