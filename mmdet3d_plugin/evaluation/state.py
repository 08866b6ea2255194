"""What an evaluation has counted so far: a few hundred numbers and the ids of the scored samples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..errors import EvaluationError
from ..structures import LabelSpace
from .flow import challenge_metrics, flow_metrics
from .miou import confusion, masks_of, voxel_class_scores, voxel_metrics, voxel_rules
from .ray_iou import ray_class_scores, ray_metrics
from .scores import ClassScore, Mode

_LISTED = 5  # tokens named in an error


@dataclass
class EvaluationState:
    """Counts of an evaluation, or of a part of it. Small, picklable, mergeable in any order.

    The order changes no count; float64 sums of velocity errors may differ in their last bit. Whoever wants them
    equal merges the same parts in the same order: the scenes of a data set, one after the other.

    Attributes:
        space: label space of the counts.
        mode: "published" or "corrected".
        counts: int64 counts and float64 sums by name, as `voxel_counts` and `ray_counts` describe them.
        tokens: ids of the samples that were counted.
    """

    space: LabelSpace
    mode: Mode
    counts: dict[str, np.ndarray]
    tokens: list[str] = field(default_factory=list)

    def merge(self, other: EvaluationState) -> EvaluationState:
        """Sum of two states.

        Raises:
            EvaluationError: the states count different things, or a sample is in both.
        """
        mine = (self.space.name, self.mode, _shapes(self.counts))
        theirs = (other.space.name, other.mode, _shapes(other.counts))
        if mine != theirs:
            raise EvaluationError("evaluation states that count different things", found=theirs, expected=mine)
        repeated = set(self.tokens) & set(other.tokens)
        if repeated:
            raise EvaluationError(
                f"{len(repeated)} samples were scored more than once",
                found=_some(repeated),
                fix="give every sample to one process only",
            )
        masked = self.counts.get("frames_with_camera_mask"), other.counts.get("frames_with_camera_mask")
        if self.tokens and other.tokens and masked[0] is not None and bool(masked[0]) != bool(masked[1]):
            have, lack = (self, other) if masked[0] else (other, self)
            raise EvaluationError(
                "evaluation states with and without a camera mask",
                found=f"with a mask: {_some(have.tokens)}; without: {_some(lack.tokens)}",
            )
        counts = {name: value + other.counts[name] for name, value in self.counts.items()}
        return EvaluationState(self.space, self.mode, counts, [*self.tokens, *other.tokens])

    def check_complete(self, expected: Iterable[str]) -> None:
        """Require that every expected sample was scored exactly once and no other was.

        Raises:
            EvaluationError: naming missing, repeated and unknown samples.
        """
        wanted, scored = set(expected), Counter(self.tokens)
        problems = {
            "missing": wanted - set(scored),
            "repeated": {token for token, times in scored.items() if times > 1},
            "unknown": set(scored) - wanted,
        }
        found = "; ".join(f"{len(tokens)} {name}: {_some(tokens)}" for name, tokens in problems.items() if tokens)
        if found:
            raise EvaluationError(
                "the scored samples are not the samples of the split",
                found=found,
                expected=f"each of {len(wanted)} samples once",
                fix="score the missing samples and merge, or name the split that was scored",
            )

    def evaluated_masks(self) -> tuple[str, ...]:
        """Voxel masks that were scored; empty without voxel metrics."""
        return masks_of(self.counts) if "voxels" in self.counts else ()

    def compute(self) -> dict[str, float]:
        """All metrics of the counts, as fractions; NaN where nothing was scored."""
        result: dict[str, float] = {}
        if "voxels" in self.counts:
            result.update(voxel_metrics(self.counts, self.space, self.mode))
        if "rays_truth" in self.counts:
            result.update(ray_metrics(self.counts, self.space, self.mode))
        if "flow_voxels" in self.counts:
            result.update(flow_metrics(self.counts, self.space, self.mode))
        if "challenge_truth" in self.counts:
            result.update(challenge_metrics(self.counts, self.space))
        return result

    def class_table(self) -> dict[str, list[ClassScore]]:
        """Score and status of every class, by metric: "IoU@camera", "IoU@all", "RayIoU@1", ..."""
        table: dict[str, list[ClassScore]] = {}
        for mask in self.evaluated_masks():
            for rule in voxel_rules(self.space, self.mode):
                scores = voxel_class_scores(confusion(self.counts, mask), self.space, rule)
                table[f"IoU{rule.suffix}@{mask}"] = [s for s in scores if s.name not in rule.skip]
        if "rays_truth" in self.counts:
            for threshold, scores in ray_class_scores(self.counts, self.space).items():
                table[f"RayIoU@{threshold}"] = scores
        return table


def merge_states(states: Sequence[EvaluationState]) -> EvaluationState:
    """Sum of the states of all parts of an evaluation, from the first to the last.

    Raises:
        EvaluationError: there is none, they count different things, or a sample is in two of them.
    """
    if not states:
        raise EvaluationError("no evaluation state to merge")
    total = states[0]
    for state in states[1:]:
        total = total.merge(state)
    return total


def _shapes(counts: dict[str, np.ndarray]) -> dict[str, tuple[int, ...]]:
    return {name: value.shape for name, value in counts.items()}


def _some(tokens: Iterable[str]) -> str:
    names = sorted(tokens)
    rest = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + rest
