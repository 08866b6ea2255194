"""Losses of the first steps of every family against golden curves."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest

from mmdet3d_plugin.errors import DataError, EvaluationError
from mmdet3d_plugin.proofs.curves import CURVES, OTHER_STEPS, STEPS, read_curve, record_curve, require_equal

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "curves"


@pytest.mark.parametrize("stem", CURVES)
@pytest.mark.parametrize("steps", [2, pytest.param(STEPS, marks=pytest.mark.learn)])
def test_curves_are_the_golden_ones(stem, steps, tiny_world, tmp_path):
    require_equal(stem, record_curve(stem, tiny_world, tmp_path / "run", steps), read_curve(GOLDEN / f"{stem}.json"))


def test_a_last_bit_is_a_difference_on_the_same_machine_only():
    golden = read_curve(GOLDEN / f"{CURVES[0]}.json")
    changed = copy.deepcopy(golden)
    changed["losses"]["loss"][1] *= 1 + 1e-15
    with pytest.raises(EvaluationError, match="loss of overfit_alocc at step 1"):
        require_equal(CURVES[0], changed, golden)
    changed["machine"]["processor"] = "another"
    changed["losses"]["loss"][OTHER_STEPS] *= 2
    require_equal(CURVES[0], changed, golden)
    changed["losses"]["loss"][1] *= 2
    with pytest.raises(EvaluationError, match="step 1"):
        require_equal(CURVES[0], changed, golden)


def test_losses_that_are_missing_are_named():
    golden = read_curve(GOLDEN / f"{CURVES[0]}.json")
    changed = copy.deepcopy(golden)
    del changed["losses"]["loss_mask"]
    with pytest.raises(EvaluationError, match="other losses"):
        require_equal(CURVES[0], changed, golden)


def test_a_curve_that_is_missing_says_how_to_record_it(tmp_path):
    with pytest.raises(DataError, match=r"loss_curves\.py --record"):
        read_curve(tmp_path / "none.json")
