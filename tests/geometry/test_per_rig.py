"""What follows from a calibration is computed once per calibration, and only then."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from mmdet3d_plugin.geometry import PerRig
from mmdet3d_plugin.parity import recipe


@pytest.fixture
def rig():
    return recipe.frame(0, (32, 48), 0).rig


def test_one_rig_one_computation(rig):
    kept, calls = PerRig[int](), iter(range(10))
    other = dataclasses.replace(rig)
    with torch.no_grad():
        found = [kept.get(rig, "a", lambda: next(calls)) for _ in range(3)]
        found += [kept.get(rig, "b", lambda: next(calls)), kept.get(other, "b", lambda: next(calls))]
        found += [kept.get(rig, "b", lambda: next(calls))]
    assert found == [0, 0, 0, 1, 2, 3]  # of another size, of another rig, and the first rig is forgotten


def test_nothing_is_kept_where_gradients_are_recorded(rig):
    kept, calls = PerRig[int](), iter(range(10))
    assert [kept.get(rig, None, lambda: next(calls)) for _ in range(2)] == [0, 1]
