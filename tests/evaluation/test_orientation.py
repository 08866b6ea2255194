"""Volumes with exchanged or reversed axes are recognised, right ones and poor ones are not."""

from __future__ import annotations

import pytest
import torch
from metric_volumes import CAR, FREE, SMALL

from mmdet3d_plugin.evaluation.orientation import turned


@pytest.fixture
def truth():
    """A ground plane one voxel above the bottom, and a wall off the centre."""
    volume = torch.full(SMALL.zyx, FREE, dtype=torch.uint8)
    volume[1] = CAR
    volume[:, 3:5, 2:17] = CAR
    return volume


@pytest.mark.parametrize(
    ("turn", "words"),
    [
        (lambda v: v.transpose(1, 2), "with x and y exchanged"),
        (lambda v: v.flip(2), None),  # the wall is nearly symmetric along x
        (lambda v: v.flip(1), "with y reversed"),
        (lambda v: v.flip(0), "with z reversed"),
        (lambda v: v, None),
        (lambda v: torch.full_like(v, FREE), None),
    ],
)
def test_orientations(truth, turn, words):
    assert turned(turn(truth), truth, FREE) == words


def test_noise_is_not_taken_for_an_orientation(truth):
    noise = torch.rand(truth.shape, generator=torch.Generator().manual_seed(0)) < 0.3
    assert turned(truth.masked_fill(noise, FREE), truth, FREE) is None
    assert turned(torch.where(noise, CAR, FREE).to(torch.uint8), truth, FREE) is None
