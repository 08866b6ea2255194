"""The whole line on data beside nuScenes: the commands train and test, and scoring saved predictions agrees."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mmdet3d_plugin import cli

CONFIGS = Path(__file__).resolve().parents[2] / "configs" / "synthetic"


def options(root: Path, **more: object) -> list[str]:
    """Two steps on two CPU threads, at a quarter of the resolution."""
    loaders = ("train_dataloader", "test_dataloader")
    words = {f"{loader}.dataset.root": root for loader in loaders} | {"train_cfg.samples": 2, **more}
    return ["--cfg-options", *(f"{key}={value}" for key, value in words.items())]


def train_and_test(config: Path, root: Path, folder: Path) -> dict:
    """Scores by the same commands as on nuScenes; predictions in `folder`/predictions."""
    assert cli.main(["train", str(config), "--work-dir", str(folder / "run"), *options(root)]) == 0
    words = ["test", str(config), str(folder / "run"), "--out", str(folder / "result.json")]
    assert cli.main([*words, "--save", str(folder / "predictions"), *options(root)]) == 0
    return json.loads((folder / "result.json").read_text())


def test_waymo_trains_and_scores(waymo_world, tmp_path):
    result = train_and_test(CONFIGS / "alocc_2d_mini_waymo_tiny.py", waymo_world, tmp_path)
    assert result["protocol"]["frames"] == 4
    assert result["protocol"]["label_set"] == "Occ3D-Waymo"
    assert result["protocol"]["synthetic"]
    assert 0 <= result["metrics"]["mIoU@camera"] <= 1
    words = ["evaluate", str(tmp_path / "predictions"), "--root", str(waymo_world), "--labels", "occ3d-waymo"]
    words += ["--metrics", "miou", "ray_iou", "--workers", "1", "--out", str(tmp_path / "offline.json")]
    assert cli.main(words) == 0
    offline = json.loads((tmp_path / "offline.json").read_text())
    assert offline["metrics"] == pytest.approx(result["metrics"], abs=1e-12, nan_ok=True)
    assert offline["protocol"]["dataset"] == result["protocol"]["dataset"] == "WaymoOccDataset val"
    assert offline["protocol"]["token_hash"] == result["protocol"]["token_hash"]


def test_an_own_data_set_trains_and_scores(four_camera_world, tmp_path):
    result = train_and_test(CONFIGS / "alocc_2d_mini_four_cameras_tiny.py", four_camera_world, tmp_path)
    assert result["protocol"]["label_set"] == "Street"
    assert result["protocol"]["grid_shape"] == [128, 128, 16]
    assert result["protocol"]["frames"] == 4
    assert any(name.startswith("RayIoU") for name in result["metrics"])
