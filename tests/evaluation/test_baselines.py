"""The majority baseline on labels that can be counted by eye."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mmdet3d_plugin.errors import EvaluationError
from mmdet3d_plugin.evaluation import MajorityBaseline
from mmdet3d_plugin.structures import OCC3D_NUSCENES, VoxelGrid

GRID = VoxelGrid((0.0, 0.0, 0.0), (3.0, 2.0, 1.0), (3, 2, 1))


def volume(values):
    return torch.tensor(values, dtype=torch.uint8).view(1, 1, 2, 3)


def test_most_frequent_label_of_every_voxel():
    baseline = MajorityBaseline(OCC3D_NUSCENES, GRID)
    baseline.update(torch.cat([volume([4, 4, 11, 255, 7, 17]), volume([4, 5, 11, 255, 3, 17])]))
    baseline.update(volume([5, 5, 17, 255, 255, 17]))
    assert baseline.predict().flatten().tolist() == [4, 5, 11, 17, 3, 17]  # unseen: free; a tie: the lowest id
    assert baseline.predict().shape == GRID.zyx


def test_mask_leaves_voxels_out():
    baseline = MajorityBaseline(OCC3D_NUSCENES, GRID)
    baseline.update(volume([4] * 6), volume([1, 0, 1, 0, 1, 0]).bool())
    assert baseline.predict().flatten().tolist() == [4, 17, 4, 17, 4, 17]


def test_counts_widen_before_they_overflow():
    baseline = MajorityBaseline(OCC3D_NUSCENES, GRID)
    limit = np.iinfo(np.uint16).max
    baseline.update(volume([4] * 6))
    baseline._counts *= limit  # as if the sample had come 65535 times
    baseline._samples = limit
    for label in (4, 4, 5):
        baseline.update(volume([label] * 6))
    assert baseline.predict().flatten().tolist() == [4] * 6


def test_bad_labels():
    baseline = MajorityBaseline(OCC3D_NUSCENES, GRID)
    with pytest.raises(EvaluationError, match="no training sample"):
        baseline.predict()
    with pytest.raises(EvaluationError, match="out of range"):
        baseline.update(volume([18] * 6))
    with pytest.raises(EvaluationError, match="training labels"):
        baseline.update(volume([4] * 6).transpose(2, 3))
