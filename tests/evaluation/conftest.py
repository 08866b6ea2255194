"""Shared by the tests of results."""

from __future__ import annotations

import pytest
from metric_volumes import SMALL, SPACE, random_labels, random_mask, targets

from mmdet3d_plugin.evaluation import OccupancyEvaluator, Protocol, make_result


@pytest.fixture
def result():
    evaluator = OccupancyEvaluator(SPACE, SMALL, ("miou", "ray_iou"))
    for i in range(2):
        truth = random_labels(i)
        truth[truth == SPACE.index("bus")] = SPACE.free
        evaluator.update(random_labels(i + 10), targets(truth, random_mask(i)), [f"token{i}"])
    state = evaluator.state()
    protocol = Protocol.from_state(
        state, SMALL, dataset="synthetic small val", synthetic=True, training_mask="camera", profile="corrected"
    )
    return make_result(state, protocol)
