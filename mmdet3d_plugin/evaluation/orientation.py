"""Recognising volumes whose axes are exchanged or turned. It only speaks up: nothing is ever flipped to fit."""

from __future__ import annotations

from torch import Tensor

_MARGIN = 0.1  # IoU by which another orientation must fit better

_TURNS = {
    "with x and y exchanged": lambda v: v.transpose(1, 2) if v.shape[1] == v.shape[2] else None,
    "with x reversed": lambda v: v.flip(2),
    "with y reversed": lambda v: v.flip(1),
    "with z reversed": lambda v: v.flip(0),
}


def turned(prediction: Tensor, truth: Tensor, free: int) -> str | None:
    """Which other orientation of a prediction fits the labels clearly better than the one it has.

    Compares what is occupied, the ground plane above all: the intersection over union must grow by more than 0.1.

    Args:
        prediction, truth: [Z, Y, X] uint8 label ids.
        free: label of free voxels.

    Returns:
        the orientation in words; None where the prediction fits best as it is.
    """
    occupied, labelled = prediction != free, truth != free
    fits = {name: _overlap(other, labelled) for name, turn in _TURNS.items() if (other := turn(occupied)) is not None}
    best = max(fits, key=lambda name: fits[name])
    return best if fits[best] > _overlap(occupied, labelled) + _MARGIN else None


def _overlap(first: Tensor, second: Tensor) -> float:
    union = int((first | second).sum())
    return int((first & second).sum()) / union if union else 1.0
