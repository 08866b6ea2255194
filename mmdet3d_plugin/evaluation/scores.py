"""From counts to intersection over union: per class with a status, and means under a named convention."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

Status = Literal["ok", "absent_in_truth", "absent_in_prediction", "absent_in_both"]
Absent = Literal["skip", "zero", "nan"]
Mode = Literal["published", "corrected"]


@dataclass(frozen=True)
class ClassScore:
    """Score of one class.

    Attributes:
        name: class name.
        value: intersection over union in 0..1; NaN where the class is absent from truth and prediction.
        status: "ok", or where the class does not occur.
        truth, predicted, matched: counts that the value is made of (voxels or rays).
    """

    name: str
    value: float
    status: Status
    truth: int
    predicted: int
    matched: int


def iou(matched: np.ndarray, truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Intersection over union `matched / (truth + predicted - matched)`, float64, NaN for 0 / 0.

    Args:
        matched, truth, predicted: int64 counts of one shape.
    """
    union = np.asarray(truth) + np.asarray(predicted) - np.asarray(matched)
    return np.where(union > 0, matched / np.maximum(union, 1), np.nan)


def class_scores(
    names: Sequence[str], matched: np.ndarray, truth: np.ndarray, predicted: np.ndarray
) -> list[ClassScore]:
    """Score of every named class.

    Args:
        names: C class names.
        matched, truth, predicted: [C] int64 counts.
    """
    values = iou(matched, truth, predicted)
    return [
        ClassScore(name, float(value), _status(int(g), int(p)), int(g), int(p), int(m))
        for name, value, m, g, p in zip(names, values, matched, truth, predicted)
    ]


def _status(truth: int, predicted: int) -> Status:
    if truth:
        return "ok" if predicted else "absent_in_prediction"
    return "absent_in_truth" if predicted else "absent_in_both"


def mean(values: np.ndarray, absent: Absent = "skip") -> float:
    """Mean of class values under a convention for the classes that are NaN (spec/metrics 2, 3; defects D13).

    Args:
        values: float64 of any shape.
        absent: "skip" leaves NaN out (NaN when nothing is left), "zero" counts it as 0, "nan" makes the mean
            NaN.
    """
    values = np.asarray(values, np.float64).ravel()
    valid = ~np.isnan(values)
    count = int(valid.sum()) if absent == "skip" else values.size
    if count == 0 or (absent == "nan" and not valid.all()):
        return math.nan
    # Zeros in place of NaN keep the order of summation, and so the last bit, of the published code.
    return float(np.where(valid, values, 0.0).sum() / count)
