"""Voxel metrics against numbers counted by hand, and the conventions of the data sets."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from mmdet3d_plugin.evaluation import OccupancyEvaluator
from mmdet3d_plugin.evaluation.scores import iou, mean
from mmdet3d_plugin.structures import OCC3D_NUSCENES, OCC3D_WAYMO, SURROUNDOCC, OccTargets, VoxelGrid

GRID = VoxelGrid((0.0, 0.0, 0.0), (6.0, 1.0, 1.0), (6, 1, 1))


def score(space, prediction, truth, mask=None, mode="published"):
    evaluator = OccupancyEvaluator(space, GRID, ("miou",), mode)
    row = lambda values, dtype: torch.tensor(values, dtype=dtype).view(1, 1, 1, 6)  # noqa: E731
    target = OccTargets(occupancy=row(truth, torch.uint8), mask_camera=None if mask is None else row(mask, torch.bool))
    evaluator.update(row(prediction, torch.uint8), target, ["a"])
    return evaluator


def test_counted_by_hand():
    """Car: 1 matched, 2 in truth, 2 predicted = 1/3. Bus: predicted only = 0. Occupied: 2 of 4."""
    space = OCC3D_NUSCENES
    car, bus, free = space.index("car"), space.index("bus"), space.free
    evaluator = score(space, [car, free, car, bus, free, free], [car, car, free, car, free, free], [1, 1, 1, 0, 1, 1])
    values = evaluator.compute()
    assert values["mIoU@camera"] == pytest.approx(1 / 3)
    assert values["IoU@camera"] == pytest.approx(1 / 3)
    assert values["mIoU@all"] == pytest.approx((1 / 4 + 0) / 2)
    assert values["mIoU_D@all"] == values["mIoU@all"]
    assert values["IoU@all"] == pytest.approx(2 / 4)
    statuses = {s.name: s.status for s in evaluator.class_table()["IoU@all"]}
    assert (statuses["car"], statuses["bus"], statuses["truck"]) == ("ok", "absent_in_truth", "absent_in_both")


def test_ignored_truth_is_occupied_in_the_published_geometry_only():
    """Defects D10."""
    free = OCC3D_NUSCENES.free
    arguments = ([free, 4, free, free, 4, free], [255, 255, free, free, 4, free])
    assert score(OCC3D_NUSCENES, *arguments).compute()["IoU@all"] == pytest.approx(2 / 3)
    assert score(OCC3D_NUSCENES, *arguments, mode="corrected").compute()["IoU@all"] == 1
    assert score(OCC3D_NUSCENES, *arguments).compute()["mIoU@all"] == 1


def test_sparse_sets_have_two_rules():
    """SurroundOcc's authors: noise ignored, an absent class makes the mean NaN. OccStudio tables: free, and 0."""
    free = SURROUNDOCC.free
    values = score(SURROUNDOCC, [4, 4, free, free, free, free], [4, 255, free, free, free, free]).compute()
    assert math.isnan(values["mIoU@all"])
    assert values["IoU@all"] == 1
    assert values["mIoU/occstudio@all"] == pytest.approx(0.5 / 16)
    assert values["IoU/occstudio@all"] == pytest.approx(1 / 2)
    corrected = score(SURROUNDOCC, [4, 4, free, free, free, free], [4, 255, free, free, free, free], mode="corrected")
    assert corrected.compute()["mIoU@all"] == 1


def test_waymo_means_over_15_and_14_classes():
    motorcycle, vehicle, free = OCC3D_WAYMO.index("motorcycle"), OCC3D_WAYMO.index("vehicle"), OCC3D_WAYMO.free
    values = score(OCC3D_WAYMO, [vehicle, motorcycle, free, free, free, free], [vehicle] + [free] * 5).compute()
    assert values["mIoU@all"] == pytest.approx(0.5)
    assert values["mIoU/14@all"] == 1


def test_conventions_of_the_mean():
    values = np.array([0.5, np.nan, 1.0])
    assert mean(values, "skip") == 0.75
    assert mean(values, "zero") == 0.5
    assert math.isnan(mean(values, "nan"))
    assert math.isnan(mean(np.array([np.nan])))


def test_iou_of_nothing_is_nan():
    assert np.array_equal(iou(np.array([0, 1]), np.array([0, 2]), np.array([0, 1])), [np.nan, 0.5], equal_nan=True)
