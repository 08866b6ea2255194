"""Velocity errors on hand-made objects; what corrected mode corrects. Golden cases cover the rest."""

from __future__ import annotations

import math

import pytest
import torch
from metric_volumes import SMALL

from mmdet3d_plugin.errors import EvaluationError
from mmdet3d_plugin.evaluation import OccupancyEvaluator
from mmdet3d_plugin.evaluation.flow import occ_score
from mmdet3d_plugin.structures import OPENOCC, OccTargets

CAR, BUS, FREE = OPENOCC.index("car"), OPENOCC.index("bus"), OPENOCC.free


def world():
    """A wall of car voxels ahead and of bus voxels behind; both drive at (3, 4) m/s."""
    truth = torch.full((1, *SMALL.zyx), FREE, dtype=torch.uint8)
    truth[..., 15:] = CAR
    truth[..., :4] = BUS
    flow = torch.full((1, 2, *SMALL.zyx), math.inf)  # no label, as the loader gives it
    moving = (truth != FREE)[:, None].expand(-1, 2, -1, -1, -1)
    flow[moving] = torch.tensor([3.0, 4.0]).view(1, 2, 1, 1, 1).expand_as(flow)[moving]
    origins = (torch.zeros((1, 3), dtype=torch.float64),)
    return truth, OccTargets(occupancy=truth, flow=flow, ray_origins=origins)


def evaluate(prediction, flow, targets, mode="published", metrics=("flow",)):
    evaluator = OccupancyEvaluator(OPENOCC, SMALL, metrics, mode)
    evaluator.update(prediction, targets, ["a"], flow)
    return evaluator.compute()


def test_still_prediction_errs_by_the_speed():
    truth, targets = world()
    values = evaluate(truth, torch.zeros(1, 2, *SMALL.zyx), targets)
    for name in ("mAVE", "mAVE_ray", "mAVE_TP"):
        assert values[name] == pytest.approx(5.0)
    assert values["RayIoU"] == 1
    assert values["OccScore"] == pytest.approx(0.9)


def test_perfect_flow():
    truth, targets = world()
    flow = torch.tensor([3.0, 4.0]).view(1, 2, 1, 1, 1).expand(1, 2, *SMALL.zyx).contiguous()
    values = evaluate(truth, flow.half(), targets)
    assert values["mAVE"] == values["mAVE_TP"] == 0
    assert values["OccScore"] == pytest.approx(1.0)


def test_a_class_that_is_never_matched_costs_until_corrected():
    """Defects D4 and D5."""
    truth, targets = world()
    flow = torch.tensor([3.0, 4.0]).view(1, 2, 1, 1, 1).expand(1, 2, *SMALL.zyx).contiguous()
    no_bus = torch.where(truth == BUS, OPENOCC.index("barrier"), truth).to(torch.uint8)
    assert evaluate(no_bus, flow, targets)["mAVE_TP"] == 0
    assert evaluate(no_bus, flow, targets, "corrected")["mAVE_TP"] == pytest.approx(0.5)
    empty = torch.full_like(truth, FREE)
    assert math.isnan(evaluate(empty, flow, targets)["OccScore"])
    assert evaluate(empty, flow, targets, "corrected")["OccScore"] == 0


def test_nan_flow_drops_its_class_until_corrected():
    truth, targets = world()
    flow = torch.zeros(1, 2, *SMALL.zyx)
    flow[0, 0][truth[0] == BUS] = math.nan
    assert evaluate(truth, flow, targets)["mAVE"] == pytest.approx(5.0)
    with pytest.raises(EvaluationError, match="predicted flow of sample a holds NaN"):
        evaluate(truth, flow, targets, "corrected")


def test_challenge_program_averages_over_all_classes():
    """Defects D3: the bus error is charged to the car as well."""
    truth, targets = world()
    flow = torch.tensor([3.0, 4.0]).view(1, 2, 1, 1, 1).expand(1, 2, *SMALL.zyx).clone()
    flow[0, :, truth[0] == BUS] = 0.0
    values = evaluate(truth, flow, targets, metrics=("flow", "challenge"))
    assert values["mAVE_TP"] == pytest.approx(2.5)
    rays = OccupancyEvaluator(OPENOCC, SMALL, ("flow", "challenge"))
    rays.update(truth, targets, ["a"], flow)
    counts = rays.state().counts["rays_truth"]
    assert values["challenge/mAVE"] == pytest.approx(5.0 * counts[BUS] / counts.sum(), rel=1e-6)


def test_missing_flow_is_named():
    truth, targets = world()
    with pytest.raises(EvaluationError, match="predicted flow of sample a"):
        evaluate(truth, None, targets)


def test_occ_score_of_the_published_row():
    assert occ_score(0.403, 0.431) == pytest.approx(0.4196, abs=1e-4)
    assert occ_score(0.4, 3.0) == pytest.approx(0.36)
