"""Comparing every stage of a network with the golden figures of the published one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import EvaluationError
from ..structures import OccPrediction, TemporalState
from . import recipe
from .model import build_parity_model, read_golden
from .stages import captured

TIGHT, LOOSE, FIRST_STEREO = 1e-4, 5e-3, 1e-2
LABELS = 0.9999
_TIGHT_STAGES = ("img_neck_out", "depthnet_context")
_CHAOTIC = ("stereo_cost_volume", "depthnet_depth_pred")  # on the first frame, golden/README


@dataclass(frozen=True)
class Comparison:
    """One tensor of one frame against its golden figures.

    Attributes:
        frame: number of the frame.
        stage: golden name of the tensor.
        worst, mean: largest and mean absolute error over the sampled positions, in units of the standard
            deviation of the tensor (logits: of each class); for labels, the share of voxels that differ.
        gate: largest `worst` that passes; None where the golden figures themselves are chaotic.
    """

    frame: int
    stage: str
    worst: float
    mean: float
    gate: float | None

    @property
    def passed(self) -> bool:
        """Whether the gate is met; NaN never is."""
        return self.gate is None or self.worst <= self.gate


def compare_forward(stem: str, golden: Path, device: str = "cpu") -> Iterator[Comparison]:
    """Run the frames of a golden file in order and compare every stage it names, frame by frame.

    Args:
        stem: name of the published config.
        golden: directory of the golden figures.
        device: where to run.

    Raises:
        DataError: a golden file is missing.
        EvaluationError: a tensor has another shape than the golden one.
    """
    facts = read_golden(golden / "forward" / f"{stem}.json")
    model = build_parity_model(stem, golden, facts["seed"]).to(device)
    state = TemporalState()
    with np.load(golden / "forward" / f"{stem}.npz") as values:
        for entry in facts["frames"]:
            t, tensors = entry["t"], entry["tensors"]
            frame = recipe.frame(t, tuple(facts["input_size"]), facts["seed"]).to(device)
            with torch.inference_mode(), captured(model.network, tensors) as ours:
                output, state = model.network(frame, state)
                labels = model.network.head.decode(output.prediction).occupancy
            for name, fact in tensors.items():
                error = _error(name, ours[name], values[f"f{t}/{name}"], fact["shape"]) / fact["std"]
                yield Comparison(t, name, *_summary(error), _gate(name, t, tensors))
            error = _logit_error(output.prediction, values[f"f{t}/logits"], entry["logits"])
            yield Comparison(t, "logits", *_summary(error), _gate("logits", t, tensors))
            differ = float(np.mean(labels[0].permute(2, 1, 0).cpu().numpy() != values[f"f{t}/labels"]))
            yield Comparison(t, "labels", differ, differ, 1 - LABELS)


def _summary(error: NDArray[Any]) -> tuple[float, float]:
    return float(error.max()), float(error.mean())


def _gate(name: str, t: int, tensors: Mapping[str, Any]) -> float | None:
    """The gates that golden/README suggests."""
    if name in _TIGHT_STAGES:
        return TIGHT
    if t == 0 and "stereo_cost_volume" in tensors:
        return None if name in _CHAOTIC else FIRST_STEREO
    return LOOSE


def _error(name: str, ours: Tensor, theirs: NDArray[Any], shape: list[int]) -> NDArray[Any]:
    """Absolute error at the sampled positions."""
    if ours.numel() != np.prod(shape) or _trailing(ours.shape) != _trailing(shape):
        raise EvaluationError(f"stage {name} has another shape", found=tuple(ours.shape), expected=tuple(shape))
    positions = recipe.sample_positions(name, ours.numel(), len(theirs))
    return np.abs(ours.flatten().cpu().numpy()[positions] - theirs)


def _trailing(shape: Sequence[int]) -> list[int]:
    """The last axes that are longer than one: equal whether or not cameras are folded into the batch."""
    return [n for n in shape if n != 1][-3:]


def _logit_error(prediction: OccPrediction, theirs: NDArray[Any], facts: Mapping[str, Any]) -> NDArray[Any]:
    """Absolute error of the logits at the sampled voxels, in units of the standard deviation of each class."""
    ours = prediction.logits[0].permute(0, 2, 3, 1).flatten(1).cpu().numpy()
    if list(facts["shape"][1:2]) != [ours.shape[0]] or np.prod(facts["shape"][2:]) != ours.shape[1]:
        raise EvaluationError(
            "the logits have another shape",
            found=tuple(prediction.logits.shape),
            expected=tuple(facts["shape"]),
        )
    positions = recipe.logit_positions(ours.shape[1])
    return np.abs(ours[:, positions] - theirs) / np.asarray(facts["class_std"])[:, None]
