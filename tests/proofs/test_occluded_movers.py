"""IoU of moving objects out of sight, counted by hand."""

from __future__ import annotations

import pytest
import torch

from mmdet3d_plugin.errors import EvaluationError
from mmdet3d_plugin.proofs.occluded_movers import occluded_mover_counts, occluded_mover_iou
from mmdet3d_plugin.structures import label_space

SPACE = label_space("Occ3D-nuScenes")
CAR, ROAD = SPACE.index("car"), SPACE.index("driveable_surface")


def frame(prediction, truth, seen, speed):
    """One row of voxels."""
    velocity = torch.zeros(2, 1, 1, len(truth))
    velocity[0, 0, 0] = torch.tensor(speed)
    labels = (torch.tensor(row, dtype=torch.uint8)[None, None] for row in (prediction, truth))
    return (*labels, torch.tensor(seen)[None, None], velocity)


def test_only_hidden_moving_voxels_count():
    inf = float("inf")
    prediction = [CAR, CAR, ROAD, CAR, CAR, CAR, CAR, ROAD]
    truth = [CAR, CAR, CAR, ROAD, CAR, SPACE.free, SPACE.ignore, ROAD]
    seen = [False, True, False, False, False, False, False, False]
    speed = [3.0, 3.0, 3.0, inf, 0.0, inf, inf, inf]
    # found: voxel 0; missed: 2; false: 3 and 5; seen: 1; standing: 4; unlabelled: 6
    assert occluded_mover_counts(*frame(prediction, truth, seen, speed), SPACE) == (1, 4)


def test_any_dynamic_class_is_found():
    bus = SPACE.index("bus")
    assert occluded_mover_counts(*frame([bus], [CAR], [False], [3.0]), SPACE) == (1, 1)


def test_counts_of_frames_are_added():
    assert occluded_mover_iou([(1, 4), (3, 4)]) == pytest.approx(0.5)


def test_a_world_in_which_nothing_hides_is_refused():
    with pytest.raises(EvaluationError, match="no moving object"):
        occluded_mover_iou([(0, 0)])
