"""The evaluator: batches in, counts kept, metrics out; the same in training, testing and offline scoring."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from torch import Tensor

from ..errors import ConfigError, EvaluationError, closest
from ..structures import LabelSpace, OccTargets, VoxelGrid
from .flow import challenge_counts, empty_challenge_counts, empty_flow_counts, flow_counts
from .miou import empty_voxel_counts, voxel_counts
from .ray_iou import cast_frame, empty_ray_counts, ray_counts
from .samples import Sample, SampleChecker
from .scores import ClassScore, Mode
from .state import EvaluationState

_EMPTY = {
    "miou": empty_voxel_counts,
    "ray_iou": empty_ray_counts,
    "flow": empty_flow_counts,
    "challenge": empty_challenge_counts,
}


class OccupancyEvaluator:
    """Scores predictions frame by frame and keeps nothing but counts and sample ids.

    Args:
        space: label space of prediction and truth.
        grid: grid of prediction and truth.
        metrics: "miou" (mIoU, mIoU_D and IoU inside the camera mask and on all voxels), "ray_iou", "flow"
            (velocity errors and OccScore, with the RayIoU that it is made of) and "challenge" (the OpenOcc
            challenge program).
        mode: "published" reproduces published numbers bit for bit, quirks included; "corrected" removes the
            quirks (docs/metrics.md lists them).

    Raises:
        ConfigError: an unknown metric or mode, or flow metrics for a label space without flow.
    """

    def __init__(
        self, space: LabelSpace, grid: VoxelGrid, metrics: Sequence[str] = ("miou",), mode: Mode = "published"
    ):
        for name in metrics:
            if name not in _EMPTY:
                raise ConfigError(f"no metric {name!r}", expected=closest(name, _EMPTY))
        if mode not in ("published", "corrected"):
            raise ConfigError("evaluation mode", found=mode, expected="'published' or 'corrected'")
        flow = "flow" in metrics or "challenge" in metrics
        if flow and not space.flow:
            raise ConfigError(f"{space.name} has no flow", found=f"metrics {tuple(metrics)}")
        wanted = {*metrics, "ray_iou"} if "flow" in metrics else {*metrics}
        self.space, self.grid, self.mode = space, grid, mode
        self.metrics = tuple(name for name in _EMPTY if name in wanted)
        self._checker = SampleChecker(
            space, grid, rays=flow or "ray_iou" in wanted, flow=flow, finite_flow=mode == "corrected"
        )
        self._counts: dict[str, np.ndarray] = {}
        self._tokens: dict[str, None] = {}  # an ordered set
        self.reset()

    def reset(self) -> None:
        """Forget all samples."""
        self._counts = {
            key: value for name in self.metrics for key, value in _EMPTY[name](self.space.num_classes).items()
        }
        self._tokens = {}

    def update(self, occupancy: Tensor, targets: OccTargets, tokens: Sequence[str], flow: Tensor | None = None) -> None:
        """Score a batch. A batch that raises leaves the counts as they were.

        Args:
            occupancy: [B, Z, Y, X] uint8 predicted label ids.
            targets: `occupancy` [B, Z, Y, X]; `mask_camera` where the data set has one; `ray_origins` where
                rays are cast; `flow` [B, 2, Z, Y, X] for flow metrics.
            tokens: B sample tokens.
            flow: [B, 2, Z, Y, X] predicted velocity in m/s, for flow metrics.

        Raises:
            EvaluationError: a shape, dtype or label is wrong, a target is missing, or a sample comes twice.
        """
        repeated = [t for i, t in enumerate(tokens) if t in self._tokens or t in tokens[:i]]
        if repeated:
            raise EvaluationError(f"sample {', '.join(repeated)} was scored already")
        if "miou" in self.metrics and self._tokens:
            masked = bool(self._counts["frames_with_camera_mask"])
            if masked != (targets.mask_camera is not None):
                raise EvaluationError(
                    f"camera mask of sample {', '.join(tokens)}",
                    found="none" if masked else "a mask",
                    expected="a mask in every sample or in none",
                )
        samples = self._checker.split(occupancy, targets, tokens, flow)
        for token, sample in zip(tokens, samples):
            for name, value in self._count(sample).items():
                self._counts[name] = self._counts[name] + value
            self._tokens[token] = None

    def _count(self, sample: Sample) -> dict[str, np.ndarray]:
        counts: dict[str, np.ndarray] = {}
        if "miou" in self.metrics:
            classes = self.space.num_classes
            counts.update(voxel_counts(sample.prediction, sample.truth, sample.mask, classes))
        if sample.origins is None:
            return counts
        scene = (sample.origins, self.grid, self.space)
        if "ray_iou" in self.metrics:
            rays = cast_frame(sample.prediction, sample.truth, *scene, self.mode)
            counts.update(ray_counts(rays, self.space))
            if "flow" in self.metrics and sample.flow is not None:
                counts.update(flow_counts(*sample.flow, sample.truth, rays, self.space))
        if "challenge" in self.metrics and sample.flow is not None:
            prediction, truth = zip((sample.prediction, sample.truth), sample.flow)
            counts.update(challenge_counts(prediction, truth, *scene))
        return counts

    def state(self) -> EvaluationState:
        """What was counted so far; later updates do not change it."""
        return EvaluationState(self.space, self.mode, dict(self._counts), list(self._tokens))

    def compute(self) -> dict[str, float]:
        """All metrics; IoUs as fractions, velocity errors in m/s, NaN where nothing was scored."""
        return self.state().compute()

    def class_table(self) -> dict[str, list[ClassScore]]:
        """Score and status of every class, by metric."""
        return self.state().class_table()

    def check_complete(self, expected: Iterable[str]) -> None:
        """Require that exactly the expected samples were scored, each once; see `EvaluationState`."""
        self.state().check_complete(expected)
