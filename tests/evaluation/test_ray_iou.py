"""RayIoU on worlds whose answer is known, and what corrected mode corrects."""

from __future__ import annotations

import pytest
import torch
from metric_volumes import CAR, FREE, GRID, SPACE, cylinder, free_volume, targets

from mmdet3d_plugin.evaluation import OccupancyEvaluator

CENTER = [[0.0, 0.0, 1.0]]
PEDESTRIAN = SPACE.index("pedestrian")


def ray_iou(prediction, truth, origins=None, mode="published"):
    evaluator = OccupancyEvaluator(SPACE, GRID, ("ray_iou",), mode)
    evaluator.update(prediction, targets(truth, origins=origins or CENTER), ["a"])
    return evaluator


@pytest.mark.parametrize(
    ("shift", "expected"), [(0.4, (1, 1, 1)), (1.6, (0, 1, 1)), (3.2, (0, 0, 1)), (6.4, (0, 0, 0))]
)
def test_a_wall_that_is_too_far_fails_the_tight_thresholds(shift, expected):
    """Rays of a round wall around the sensor: the distance error is about the shift on every ray that meets it."""
    truth, prediction = cylinder(12.0), cylinder(12.0 + shift)
    truth[:, 0], prediction[:, 0] = SPACE.index("manmade"), SPACE.index("manmade")  # the ground, always right
    values = [{s.name: s for s in scores}["car"].value for scores in ray_iou(prediction, truth).class_table().values()]
    for value, wanted in zip(values, expected):
        assert value == pytest.approx(wanted, abs=0.25), values


def test_right_place_wrong_class_counts_twice():
    truth = cylinder(12.0)
    prediction = torch.where(truth == CAR, PEDESTRIAN, FREE).to(torch.uint8)
    evaluator = ray_iou(prediction, truth)
    assert evaluator.compute()["RayIoU"] == 0
    rows = {s.name: s for s in evaluator.class_table()["RayIoU@4"]}
    assert rows["car"].status == "absent_in_prediction"
    assert rows["pedestrian"].status == "absent_in_truth"
    assert rows["car"].truth == rows["pedestrian"].predicted > 0
    assert rows["bus"].status == "absent_in_both"


def test_hallucination_is_free_of_charge_until_corrected():
    """An obstacle in front of nothing changes no published number (defects D6)."""
    truth = free_volume(GRID)
    truth[:, 0] = CAR  # a floor: the rays that look up end nowhere
    prediction = truth.clone()
    prediction[:, -1] = CAR  # a ceiling that is not there
    assert ray_iou(prediction, truth).compute() == ray_iou(truth, truth).compute()
    corrected = ray_iou(prediction, truth, mode="corrected").compute()
    assert corrected["RayIoU"] == 1
    assert 0.2 < corrected["ray_hallucination"] < 1
    assert ray_iou(truth, truth, mode="corrected").compute()["ray_hallucination"] == 0


def test_rays_that_never_enter_take_the_corner_label_until_corrected():
    """Defects D7: with an occupied corner voxel, rays that miss the volume count as matches of its class."""
    truth = free_volume(GRID)
    truth[0, 0, 0, 0] = CAR
    above = [[0.0, 0.0, 20.0]]
    published = ray_iou(truth, truth, above).state().counts
    assert published["rays_truth"][CAR] > 5000
    corrected = ray_iou(truth, truth, above, mode="corrected").state().counts
    assert corrected["rays_truth"].sum() == 0
    assert corrected["rays_free"].sum() < 14040 - 5000  # nor are they free rays


def test_origin_below_the_floor_is_inside_until_corrected():
    """Defects D8: 0.2 m below the volume the published start cell is the floor itself."""
    truth = free_volume(GRID)
    truth[:, 0] = CAR
    below = [[0.0, 0.0, -1.2]]
    assert ray_iou(truth, truth, below).state().counts["rays_truth"][CAR] == 14040
    looking_up = 20 * 360
    corrected = ray_iou(truth, truth, below, mode="corrected").state().counts
    assert corrected["rays_truth"][CAR] == looking_up


def test_ignored_truth_stops_a_ray_and_is_scored_until_corrected():
    truth = cylinder(12.0, label=SPACE.ignore)
    prediction = cylinder(12.0)
    published = ray_iou(prediction, truth).state().counts
    assert published["rays_truth"][-1] == published["rays_predicted"][CAR] > 0
    corrected = ray_iou(prediction, truth, mode="corrected").state().counts
    assert corrected["rays_truth"].sum() == 0


def test_more_origins_more_rays():
    truth = cylinder(12.0)
    one = ray_iou(truth, truth).state().counts["rays_truth"]
    two = ray_iou(truth, truth, CENTER * 2).state().counts["rays_truth"]
    assert (two == 2 * one).all()
