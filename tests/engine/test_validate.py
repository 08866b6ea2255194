"""`occstudio validate` is content with right data, and names what is wrong with wrong data."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmdet3d_plugin import cli
from mmdet3d_plugin.config import load_config
from mmdet3d_plugin.engine.image_agreement import GIVEN, ColourVariance
from mmdet3d_plugin.engine.validate import judge_images, validate

CONFIGS = Path(__file__).resolve().parents[2] / "configs" / "synthetic"
FOUR = CONFIGS / "alocc_2d_mini_four_cameras_tiny.py"


def examine(root: Path, out: Path, config: Path = FOUR, frames: int = 4):
    roots = {f"{loader}.dataset.root": str(root) for loader in ("train_dataloader", "test_dataloader")}
    return validate(load_config(config, roots), out, frames)


@pytest.fixture
def broken_world(four_camera_world, tmp_path) -> Path:
    return Path(shutil.copytree(four_camera_world, tmp_path / "world"))


def change(root: Path, edit) -> None:
    """Edit every frame of the table."""
    path = root / "frames.json"
    table = json.loads(path.read_text())
    for frame in table:
        edit(frame)
    path.write_text(json.dumps(table))


def problems(findings) -> str:
    return "\n".join(f.text for f in findings if f.status == "PROBLEM")


def test_right_data(four_camera_world, tmp_path, capsys):
    roots = [f"{loader}.dataset.root={four_camera_world}" for loader in ("train_dataloader", "test_dataloader")]
    words = ["validate", str(FOUR), "--frames", "4", "--out", str(tmp_path / "pictures"), "--cfg-options", *roots]
    assert cli.main(words) == 0
    assert "score 0." in capsys.readouterr().out
    for name in ("train", "test"):
        with Image.open(tmp_path / "pictures" / f"{name}.png") as picture:
            assert np.asarray(picture).std() > 20


def test_right_waymo(waymo_world, tmp_path):
    findings = examine(waymo_world, tmp_path, CONFIGS / "alocc_2d_mini_waymo_tiny.py", frames=2)
    assert not problems(findings)


def test_mirrored_labels(broken_world, tmp_path):
    for path in (broken_world / "labels").rglob("*.npz"):
        with np.load(path) as file:
            arrays = {key: file[key][:, ::-1] for key in file.files}
        np.savez(path, **arrays)
    found = problems(examine(broken_world, tmp_path))
    assert "labels fit the images better with labels with y reversed" in found
    assert "it is y reversed" in found


def test_turned_cameras(broken_world, tmp_path):
    """6 degrees to the left: said by the images alone, since the lidar does not know of the cameras."""
    c, s = np.cos(np.radians(6.0)), np.sin(np.radians(6.0))
    left = np.array([[c, 0, -s, 0], [0, 1, 0, 0], [s, 0, c, 0], [0, 0, 0, 1]])

    def edit(frame):
        for camera in frame["cameras"].values():
            camera["global_from_cam"] = (np.array(camera["global_from_cam"]) @ left).tolist()

    change(broken_world, edit)
    assert "better with cameras 6 degrees further right" in problems(examine(broken_world, tmp_path))


def test_mistakes_in_the_table(broken_world, tmp_path):
    def edit(frame):
        frame["cameras"]["left"]["pixel_from_cam"][0][2] = 5000.0
        frame["timestamp"] //= 1000  # milliseconds

    change(broken_world, edit)
    found = problems(examine(broken_world, tmp_path))
    assert "camera left: its principal point (5000," in found
    assert "m/s" in found


def test_verdicts_on_scores():
    assert judge_images("train", {GIVEN: 0.5, "other": 0.4}, 3).status == "ok"
    assert judge_images("train", {GIVEN: 0.5, "other": 0.51}, 3).status == "note"
    assert judge_images("train", {GIVEN: 0.5, "other": 0.6}, 3).status == "PROBLEM"


def test_explained_variance_by_hand():
    image = np.zeros((2, 4, 3), np.uint8)
    image[:, 2:] = 255
    exact, blind = ColourVariance(), ColourVariance()
    exact.add(np.array([[1, 1, 2, 2]] * 2, np.uint8), image)
    blind.add(np.array([[1, 2, 1, 2]] * 2, np.uint8), image)
    assert exact.explained() == pytest.approx(1.0)
    assert blind.explained() == pytest.approx(0.0)
