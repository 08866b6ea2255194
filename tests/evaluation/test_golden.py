"""Golden cases: every published number is met, and a wrong number is noticed."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

from mmdet3d_plugin.evaluation import golden
from mmdet3d_plugin.evaluation.golden import run_golden

ROOT = Path(__file__).resolve().parents[2]
SMALL = ROOT / "tests" / "golden" / "metrics"
FULL = ROOT.parent / "shared" / "golden" / "metrics"
TOOL = ROOT / "tools" / "analysis_tools" / "check_metrics.py"


def test_small_golden_cases():
    cases = {case.name: case for case in run_golden(SMALL)}
    assert {name: case.problems for name, case in cases.items() if case.problems} == {}
    assert len(cases) == 16
    assert all(case.compared > 50 for case in cases.values())


@pytest.mark.parity
@pytest.mark.skipif(not FULL.is_dir(), reason="the full set of golden values is not here")
def test_all_golden_cases():
    assert {case.name: case.problems for case in run_golden(FULL) if case.problems} == {}


@pytest.fixture
def check(monkeypatch, capsys):
    """Runs the command on a folder: exit status, standard output, standard error."""

    def run(folder: Path) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", [str(TOOL), str(folder)])
        with pytest.raises(SystemExit) as stop:
            runpy.run_path(str(TOOL), run_name="__main__")
        return stop.value.code, *capsys.readouterr()

    return run


def test_command_reports_a_miss(check, tmp_path):
    values = json.loads((SMALL / "golden.json").read_text())
    section = {"class_absent": values["occ3d"]["class_absent"]}
    (tmp_path / "occ3d.npz").symlink_to(SMALL / "occ3d.npz")
    (tmp_path / "golden.json").write_text(json.dumps({"occ3d": section}))
    assert check(tmp_path)[0] == 0
    section["class_absent"]["rayiou"]["gt_cnt"][4] += 1
    (tmp_path / "golden.json").write_text(json.dumps({"occ3d": section}))
    status, output, _ = check(tmp_path)
    assert status == 1
    assert "MISS occ3d/class_absent" in output
    assert "G: 1 of 18 differ, at (4,)" in output


def test_command_names_a_missing_file(check, tmp_path):
    assert check(tmp_path)[0] == 2
    (tmp_path / "golden.json").write_text('{"origins": {}}')
    status, _, message = check(tmp_path)
    assert status == 2
    assert "origins.npz" in message


def test_null_means_nan():
    case = golden.Case("x")
    case.expect("a", [np.nan, 1.0], [None, 1.0])
    assert not case.problems
    case.expect("b", [0.0], [None])
    case.expect("c", [1.0], [1.0 + 1e-9])
    case.expect("d", [[1.0]], [1.0])
    assert [problem[0] for problem in case.problems] == ["b", "c", "d"]
