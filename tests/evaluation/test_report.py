"""Protocols and result files: complete, exact, and unmistakable on synthetic data."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import math

import numpy as np
import pytest
from metric_volumes import SMALL, SPACE

from mmdet3d_plugin.errors import EvaluationError
from mmdet3d_plugin.evaluation import (
    format_result,
    read_result,
    token_set_hash,
    write_result,
)
from mmdet3d_plugin.evaluation.state import EvaluationState


def test_round_trip_is_exact(result, tmp_path):
    result.metrics["extra"] = math.nan
    write_result(tmp_path / "out" / "result.json", result)
    found = read_result(tmp_path / "out" / "result.json")
    assert found.protocol == result.protocol
    assert found.classes == result.classes
    assert math.isnan(found.metrics.pop("extra"))
    result.metrics.pop("extra")
    assert found.metrics == result.metrics
    for name, value in result.counts.items():
        assert np.array_equal(found.counts[name], value)
        assert found.counts[name].dtype == value.dtype
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["result.json"]


def test_every_number_can_be_computed_again_from_the_file(result, tmp_path):
    write_result(tmp_path / "result.json", result)
    found = read_result(tmp_path / "result.json")
    assert EvaluationState(SPACE, "published", found.counts).compute() == found.metrics


def test_protocol_says_what_was_measured(result):
    p = result.protocol
    assert (p.label_set, p.frames, p.mode, p.evaluated_masks) == ("Occ3D-nuScenes", 2, "published", ("camera", "all"))
    assert p.token_hash == token_set_hash(["token1", "token0"])
    assert p.token_hash != token_set_hash(["token0"])
    assert p.grid_shape == SMALL.shape


def test_protocols_that_differ_are_told_apart(result):
    p = result.protocol
    assert p.differences(dataclasses.replace(p, training_mask="all", profile="published")) == {}
    other = dataclasses.replace(p, mode="corrected", frames=3)
    assert p.differences(other) == {"mode": ("published", "corrected"), "frames": (2, 3)}


def test_synthetic_data_cannot_be_overlooked(result, tmp_path):
    write_result(tmp_path / "result.json", result)
    assert "SYNTHETIC" in json.loads((tmp_path / "result.json").read_text())["warning"]
    assert format_result(result).startswith("SYNTHETIC DATA: not comparable")
    real = dataclasses.replace(result, protocol=dataclasses.replace(result.protocol, synthetic=False))
    write_result(tmp_path / "real.json", real)
    assert "SYNTHETIC" not in (tmp_path / "real.json").read_text() + format_result(real)


@pytest.mark.parametrize("rich", [True, False])
def test_table_shows_values_and_status(result, monkeypatch, rich):
    if not rich:
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    elif importlib.util.find_spec("rich") is None:
        pytest.skip("rich is not installed")
    table = format_result(result)
    assert f"{100 * result.metrics['mIoU@camera']:.2f} %" in table
    assert "no truth" in next(line for line in table.splitlines() if line.strip().startswith("bus"))
    assert "RayIoU@4" in table


def test_broken_files_are_refused(result, tmp_path):
    path = tmp_path / "result.json"
    with pytest.raises(EvaluationError, match="cannot be read"):
        read_result(path)
    write_result(path, result)
    text = path.read_text()
    path.write_text(text[:-20])
    with pytest.raises(EvaluationError, match="cannot be read"):
        read_result(path)
    path.write_text('{"format": "something else"}')
    with pytest.raises(EvaluationError, match="is not a result file"):
        read_result(path)
    content = json.loads(text)
    del content["protocol"]["mode"]
    path.write_text(json.dumps(content))
    with pytest.raises(EvaluationError, match=r"(?s)protocol of a result file.*mode"):
        read_result(path)
