"""`tools/visual.py` on the generated world."""

from __future__ import annotations

import runpy
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from test_viewer_file import Page, manifest_of, unpack

from mmdet3d_plugin.datasets.index import CAMERAS, load_index
from mmdet3d_plugin.errors import DataError, EvaluationError
from mmdet3d_plugin.evaluation.predictions import write_prediction
from mmdet3d_plugin.visualization.command import run

TOOL = Path(__file__).resolve().parents[2] / "tools" / "visual.py"


def labels(root: Path, scene: str, token: str) -> np.ndarray:
    """[Z, Y, X] true labels."""
    with np.load(root / "gts" / scene / token / "labels.npz") as file:
        return np.ascontiguousarray(file["semantics"].transpose(2, 1, 0))


@pytest.fixture(scope="module")
def predictions(tiny_world, tmp_path_factory) -> Path:
    """Predictions that are the truth with its lowest layer removed."""
    folder = tmp_path_factory.mktemp("predictions")
    for scene in (tiny_world / "gts").iterdir():
        for frame in scene.iterdir():
            guess = labels(tiny_world, scene.name, frame.name)
            guess[:2] = 17
            write_prediction(folder, scene.name, frame.name, guess)
    return folder


def written(path: Path) -> dict:
    return manifest_of(Page(path.read_text()))


def test_the_viewer_holds_every_frame_in_the_order_of_time(tiny_world, predictions, tmp_path):
    out = tmp_path / "viewer.html"
    run([str(predictions), str(tiny_world), "--images", str(tiny_world), "--out", str(out)])
    manifest = written(out)
    index = load_index(tiny_world.resolve(), "v1.0-mini")
    assert manifest["synthetic"] is True
    assert {s["name"] for s in manifest["scenes"]} == set(index.scene_names.tolist())
    for scene in manifest["scenes"]:
        number = index.scene_names.tolist().index(scene["name"])
        assert [f["token"] for f in scene["frames"]] == index.token[index.frames_of(number)].tolist()
        for frame in scene["frames"]:
            truth = labels(tiny_world, scene["name"], frame["token"])
            assert (unpack(frame["truth"]).reshape(truth.shape) == truth).all()
            assert (unpack(frame["prediction"]).reshape(truth.shape)[2:] == truth[2:]).all()
            assert [name for name, _ in frame["images"]] == list(CAMERAS)


def test_a_label_folder_without_tables_is_enough(tiny_world, predictions, tmp_path):
    (tmp_path / "labels").symlink_to(tiny_world / "gts")
    out = tmp_path / "viewer.html"
    name = next(predictions.iterdir()).name
    run([str(predictions), str(tmp_path / "labels"), "--scenes", name, "--out", str(out), "--title", "night run"])
    manifest = written(out)
    assert manifest["title"] == "night run"
    assert [s["name"] for s in manifest["scenes"]] == [name]
    assert manifest["scenes"][0]["frames"][0]["images"] == []


def test_stills_are_written_beside_it(tiny_world, predictions, tmp_path):
    scene = next(predictions.iterdir())
    (tmp_path / "one" / scene.name).mkdir(parents=True)
    shutil.copy(next(scene.iterdir()), tmp_path / "one" / scene.name)
    out, stills = tmp_path / "viewer.html", tmp_path / "stills"
    run([str(tmp_path / "one"), str(tiny_world), "--out", str(out), "--stills", str(stills)])
    assert [p.name for p in stills.iterdir()] == [f"{scene.name}_000.png"]


def test_the_script_reports_errors_as_messages(tiny_world, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["visual.py", str(tmp_path / "nothing"), str(tiny_world)])
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(TOOL), run_name="__main__")
    assert stop.value.code == 1
    message = capsys.readouterr().err
    assert "holds no predictions" in message
    assert "--save" in message


def test_an_unknown_scene_names_the_closest(tiny_world, predictions):
    name = next(predictions.iterdir()).name
    with pytest.raises(DataError, match=rf"(?s)'{name}x'.*'{name}'"):
        run([str(predictions), str(tiny_world), "--scenes", f"{name}x"])


def test_ground_truth_that_is_missing_is_named(tmp_path, predictions):
    with pytest.raises(DataError, match="does not exist"):
        run([str(predictions), str(tmp_path / "nowhere")])


def test_a_sample_without_labels_is_named(tiny_world, tmp_path):
    write_prediction(tmp_path / "p", "scene-0001", "f" * 32, np.zeros((16, 200, 200), np.uint8))
    with pytest.raises(DataError, match=f"scene-0001/{'f' * 32}"):
        run([str(tmp_path / "p"), str(tiny_world), "--out", str(tmp_path / "v.html")])


def test_a_prediction_on_another_grid_is_named(tiny_world, predictions, tmp_path):
    scene = next(predictions.iterdir())
    token = next(scene.iterdir()).stem
    write_prediction(tmp_path / "p", scene.name, token, np.zeros((8, 100, 100), np.uint8))
    with pytest.raises(EvaluationError, match=token):
        run([str(tmp_path / "p"), str(tiny_world), "--out", str(tmp_path / "v.html")])
