"""How well are moving objects found where no camera sees them now?"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from ..errors import EvaluationError
from ..structures import LabelSpace

MOVING = 0.2
"""Objects faster than that move, m/s (the threshold of the attributes of the synthetic world)."""


def occluded_mover_counts(
    prediction: Tensor, truth: Tensor, mask_camera: Tensor, flow: Tensor, space: LabelSpace
) -> tuple[int, int]:
    """Intersection and union of predicted and true dynamic classes in hidden voxels.

    Voxels of dynamic classes that stand still are left out: memory of them needs no understanding of motion.

    Args:
        prediction, truth: [Z, Y, X] label ids.
        mask_camera: [Z, Y, X] bool, True = a camera sees the voxel.
        flow: [2, Z, Y, X] true velocity in m/s, inf where there is none.
        space: label space of both.

    Returns:
        number of voxels in the intersection and in the union.
    """
    dynamic = torch.tensor(space.dynamic)
    true, found = torch.isin(truth, dynamic), torch.isin(prediction, dynamic)
    moving = true & (flow.norm(dim=0) > MOVING) & flow.isfinite().all(dim=0)
    scored = ~mask_camera & (truth != space.ignore) & (moving | ~true)
    return int((moving & found & scored).sum()), int(((moving | found) & scored).sum())


def occluded_mover_iou(counts: Iterable[tuple[int, int]]) -> float:
    """IoU over all frames.

    Raises:
        EvaluationError: nothing moves out of sight, and nothing is predicted there.
    """
    intersection, union = (sum(column) for column in zip(*counts))
    if not union:
        raise EvaluationError("no moving object is out of sight in any frame", fix="use a world with more scenes")
    return intersection / union
