"""Comparing every stage of a network with the golden figures of the published one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..config import load_config
from ..errors import EvaluationError
from ..structures import Frame, OccPrediction, TemporalState
from . import recipe
from .members import figures_of
from .model import build_parity_model, find_config, read_golden
from .recipe import Inputs
from .stages import captured

Array = NDArray[Any]

TIGHT, LOOSE, FIRST_STEREO = 1e-4, 5e-3, 1e-2
LABELS = 0.9999
_TIGHT_STAGES = ("img_neck_out", "depthnet_context")
_FLOW = "flow_final"
_DECODED = {_FLOW}  # figures of decoded labels, not of a module
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

    The figures are those of `figures_of` the config.

    Args:
        stem: name of the published config.
        golden: directory of the golden figures.
        device: where to run.

    Raises:
        DataError: a golden file is missing.
        EvaluationError: a tensor has another shape than the golden one.
    """
    figures = figures_of(stem, golden) or stem
    facts = read_golden(golden / "forward" / f"{figures}.json")
    inputs = Inputs.of_config(load_config(find_config(stem)), facts["seed"])
    if inputs.image_size != tuple(facts["input_size"]):
        raise EvaluationError(
            f"the config {stem} has images of another size than the golden figures",
            found=inputs.image_size,
            expected=tuple(facts["input_size"]),
        )
    model = build_parity_model(stem, golden, facts["seed"]).to(device)
    state = TemporalState()
    with np.load(golden / "forward" / f"{figures}.npz") as values:
        for entry in facts["frames"]:
            t = entry["t"]
            theirs = {name.partition("/")[2]: values[name] for name in values if name.startswith(f"f{t}/")}
            frame = inputs.frame(t).to(device)
            state, comparisons = _compare_frame(model.network, frame, state, entry, theirs)
            yield from comparisons


def _compare_frame(
    network: nn.Module, frame: Frame, state: TemporalState, entry: Mapping[str, Any], theirs: Mapping[str, Array]
) -> tuple[TemporalState, list[Comparison]]:
    """The state after a frame, and every tensor of it against the golden figures."""
    t, tensors = entry["t"], entry["tensors"]

    def keep(name: str, ours: Tensor) -> Array:
        return _error(name, ours, theirs[name], tensors[name]["shape"])

    with torch.inference_mode():
        with captured(network, tensors.keys() - _DECODED, keep) as errors:
            output, state = network(frame, state)
        labels = network.head.decode(output.prediction)
    if _FLOW in tensors:
        errors[_FLOW] = _flow_error(labels.flow, theirs[_FLOW], tensors[_FLOW]["shape"])
    comparisons = [
        Comparison(t, name, *_summary(errors[name] / fact["std"]), _gate(name, t, tensors))
        for name, fact in tensors.items()
    ]
    error = _logit_error(output.prediction, theirs["logits"], entry["logits"])
    comparisons.append(Comparison(t, "logits", *_summary(error), _gate("logits", t, tensors)))
    occupancy = labels.occupancy[0].permute(2, 1, 0).cpu().numpy()
    if occupancy.shape != theirs["labels"].shape:
        raise EvaluationError("the labels have another shape", found=occupancy.shape, expected=theirs["labels"].shape)
    differ = float(np.mean(occupancy != theirs["labels"]))
    comparisons.append(Comparison(t, "labels", differ, differ, 1 - LABELS))
    return state, comparisons


def _summary(error: Array) -> tuple[float, float]:
    return float(error.max()), float(error.mean())


def _gate(name: str, t: int, tensors: Mapping[str, Any]) -> float | None:
    """The gates that golden/README suggests."""
    if name in _TIGHT_STAGES:
        return TIGHT
    if t == 0 and "stereo_cost_volume" in tensors:
        return None if name in _CHAOTIC else FIRST_STEREO
    return LOOSE


def _error(name: str, ours: Tensor, theirs: Array, shape: Sequence[int]) -> Array:
    """Absolute error at the sampled positions."""
    if ours.numel() != np.prod(shape) or _trailing(ours.shape) != _trailing(shape):
        raise EvaluationError(f"stage {name} has another shape", found=tuple(ours.shape), expected=tuple(shape))
    positions = recipe.sample_positions(name, ours.numel(), len(theirs))
    return np.abs(_taken(ours, positions) - theirs)


def _taken(tensor: Tensor, positions: NDArray[np.int64]) -> Array:
    """Elements at flat positions. A view of a large volume is not copied, which would take gigabytes."""
    index = np.unravel_index(positions, tuple(tensor.shape))
    return tensor[tuple(torch.from_numpy(i).to(tensor.device) for i in index)].float().cpu().numpy()


def _trailing(shape: Sequence[int]) -> list[int]:
    """The last axes that are longer than one: equal whether or not cameras are folded into the batch."""
    return [n for n in shape if n != 1][-3:]


def _flow_error(flow: Tensor | None, theirs: Array, shape: Sequence[int]) -> Array:
    """Absolute error of decoded flow [1, 2, Z, Y, X] beyond the rounding of the published one, float16 (X, Y, Z, 2)."""
    if flow is None:
        raise EvaluationError("the model predicts no flow, the published one does")
    rounding = np.spacing(np.abs(theirs).astype(np.float16)).astype(np.float32) / 2
    return np.maximum(_error(_FLOW, flow[0].permute(3, 2, 1, 0), theirs, shape) - rounding, 0)


def _logit_error(prediction: OccPrediction, theirs: Array, facts: Mapping[str, Any]) -> Array:
    """Absolute error of the logits at the sampled voxels, in units of the standard deviation of each class."""
    ours = prediction.logits[0].permute(0, 2, 3, 1)
    if tuple(facts["shape"][1:]) != tuple(ours.shape):
        raise EvaluationError("the logits have another shape", found=tuple(ours.shape), expected=facts["shape"][1:])
    positions = recipe.logit_positions(ours[0].numel())
    sampled = np.stack([_taken(logits, positions) for logits in ours])
    return np.abs(sampled - theirs) / np.asarray(facts["class_std"])[:, None]
