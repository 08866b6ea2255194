from __future__ import annotations

import json
import math

import numpy as np
import pytest

from mmdet3d_plugin.errors import DataError
from mmdet3d_plugin.visualization.curves import read_loss_curve


def write(path, *records) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(r) + "\n" for r in records))


def test_our_log_is_read_by_samples_and_validations_are_left_out(tmp_path):
    write(
        tmp_path / "log.jsonl",
        {"mode": "train", "samples": 8, "loss": 3.0, "loss_occ": 2.0, "lr": 1e-4, "step_time": 0.1},
        {"mode": "val", "samples": 8, "val_loss": 99.0},
        {"mode": "train", "samples": 16, "loss": 2.0, "lr": 1e-4},
    )
    curve = read_loss_curve(tmp_path)
    assert curve.unit == "samples"
    assert curve.position.tolist() == [8, 16]
    assert curve.values["loss"].tolist() == [3.0, 2.0]
    assert curve.values["loss_occ"][0] == 2.0
    assert math.isnan(curve.values["loss_occ"][1])
    assert set(curve.values) == {"loss", "loss_occ"}


def test_mmengine_log_is_found_in_its_run_folder(tmp_path):
    write(
        tmp_path / "20260101_120000" / "vis_data" / "scalars.json",
        {"lr": 2e-4, "data_time": 0.1, "loss": 5.0, "time": 0.4, "epoch": 1, "iter": 50, "memory": 900, "step": 50},
        {"mIoU": 30.0, "step": 1},
        {"lr": 2e-4, "loss": 4.0, "epoch": 1, "iter": 100, "step": 100},
    )
    curve = read_loss_curve(tmp_path)
    assert (curve.unit, curve.position.tolist()) == ("step", [50, 100])


def test_what_a_resumed_run_repeats_counts_once(tmp_path):
    write(tmp_path / "a.json", *({"step": s, "loss": v} for s, v in ((1, 1.0), (2, 2.0), (3, 3.0), (2, 9.0))))
    curve = read_loss_curve(tmp_path / "a.json")
    assert curve.position.tolist() == [1, 2, 3]
    assert curve.values["loss"].tolist() == [1.0, 9.0, 3.0]


def test_a_line_cut_off_at_the_end_is_ignored_but_not_elsewhere(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{"step": 1, "loss": 1.0}\n{"step": 2, "lo')
    assert np.array_equal(read_loss_curve(path).position, [1])
    path.write_text('{"step": 1, "lo\n{"step": 2, "loss": 1.0}\n')
    with pytest.raises(DataError, match=r"line 1 of .*a\.json"):
        read_loss_curve(path)


@pytest.mark.parametrize("text", ["", '{"step": 1, "mIoU": 3}\n'])
def test_a_log_without_losses_is_named(tmp_path, text):
    (tmp_path / "log.jsonl").write_text(text)
    with pytest.raises(DataError, match="no losses"):
        read_loss_curve(tmp_path)


def test_a_folder_without_a_log_is_named(tmp_path):
    with pytest.raises(DataError, match="no training log"):
        read_loss_curve(tmp_path / "run")
