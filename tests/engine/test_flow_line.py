"""A flow config from training to OccScore by the commands that users type."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mmdet3d_plugin import cli
from mmdet3d_plugin.engine.hooks import read_log

CONFIG = Path(__file__).resolve().parents[2] / "configs" / "synthetic" / "aloccflow_2d_tiny.py"


def test_flow_trains_and_occ_score_is_reported(tiny_world, tmp_path):
    roots = [f"{loader}.dataset.root={tiny_world}" for loader in ("train_dataloader", "test_dataloader")]
    options = ["--cfg-options", *roots, "train_cfg.samples=2", "hooks.flow_denoising.start=0"]
    assert cli.main(["train", str(CONFIG), "--work-dir", str(tmp_path / "run"), *options]) == 0
    logged = read_log(tmp_path / "run")[-1]
    assert all(np.isfinite(logged[name]) for name in ("loss_flow", "loss_flow_cosine", "loss_flow_bins", "loss_mask"))
    assert logged["loss_flow"] > 0
    words = ["test", str(CONFIG), str(tmp_path / "run"), "--out", str(tmp_path / "result.json")]
    assert cli.main([*words, "--save", str(tmp_path / "predictions"), *options]) == 0
    result = json.loads((tmp_path / "result.json").read_text())
    metrics = result["metrics"]
    assert result["protocol"]["label_set"] == "OpenOcc"
    assert metrics["OccScore"] == pytest.approx(0.9 * metrics["RayIoU"] + 0.1 * max(1 - metrics["mAVE_TP"], 0))
    assert metrics["mAVE"] > 0
    saved = sorted((tmp_path / "predictions").glob("*/*.npz"))
    with np.load(saved[0]) as arrays:
        assert arrays["flow"].shape == (200, 200, 16, 2)
        assert np.abs(arrays["flow"]).max() > 0
    words = ["evaluate", str(tmp_path / "predictions"), "--root", str(tiny_world), "--version", "v1.0-mini"]
    words += ["--labels", "openocc", "--metrics", "miou", "flow", "--mode", "corrected", "--workers", "1"]
    assert cli.main([*words, "--out", str(tmp_path / "offline.json")]) == 0
    offline = json.loads((tmp_path / "offline.json").read_text())["metrics"]
    assert offline == pytest.approx(metrics, abs=2e-3)  # saved velocities are float16
