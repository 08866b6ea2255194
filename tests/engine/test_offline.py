"""Scoring saved predictions: the truth scores perfectly, any number of processes agrees, nothing counted is lost."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mmdet3d_plugin import cli
from mmdet3d_plugin.datasets.index import load_index
from mmdet3d_plugin.datasets.labels import label_set
from mmdet3d_plugin.engine import offline, score_predictions
from mmdet3d_plugin.errors import ConfigError, DataError, EvaluationError
from mmdet3d_plugin.evaluation import read_result, write_prediction

VERSION = "v1.0-mini"


def save_truth(world: Path, name: str, folder: Path) -> None:
    """The labels themselves as predictions of the training scenes; ignored voxels as free, no flow as rest."""
    labels = label_set(name)
    index = load_index(world.resolve(), VERSION)
    train = json.loads((world / "splits.json").read_text())["train"]
    for row in range(len(index)):
        scene = str(index.scene_names[index.scene[row]])
        if scene in train:
            truth = labels.load(world, index.name(row), training=False)
            occupancy = np.where(truth.occupancy == labels.space.ignore, labels.space.free, truth.occupancy)
            flow = None if truth.flow is None else np.where(np.isfinite(truth.flow), truth.flow, 0.0)
            write_prediction(folder, scene, str(index.token[row]), occupancy.astype(np.uint8), flow)


@pytest.fixture
def score(tiny_world, tmp_path):
    """Scores a folder on the training scenes of the tiny world; one process unless asked otherwise."""

    def score(folder, out="result.json", **options):
        defaults = {"version": VERSION, "split": "train", "workers": 1}
        return score_predictions(folder, tiny_world, tmp_path / out, **{**defaults, **options})

    return score


@pytest.fixture
def predictions(tiny_world, tmp_path):
    """The Occ3D labels, wrong in one corner, as predictions."""
    save_truth(tiny_world, "occ3d", tmp_path / "predictions")
    for path in (tmp_path / "predictions").glob("*/*.npz"):
        with np.load(path) as file:
            labels = file["semantics"].copy()
        labels[:100, :100] = 4
        np.savez_compressed(path, semantics=labels)
    return tmp_path / "predictions"


@pytest.mark.parametrize(
    ("name", "metrics"),
    [("occ3d", ("miou", "ray_iou")), ("openocc", ("miou", "flow")), ("surroundocc", ("miou",))],
)
def test_the_truth_scores_perfectly(tiny_world, tmp_path, score, name, metrics):
    save_truth(tiny_world, name, tmp_path / "truth")
    found = score(tmp_path / "truth", labels=name, metrics=metrics)
    assert found.protocol.synthetic
    for metric, value in found.metrics.items():
        assert value == pytest.approx(0.0 if "AVE" in metric else 1.0, abs=2e-3), metric
    assert read_result(tmp_path / "result.json").metrics == found.metrics
    assert not (tmp_path / "result.json.parts").exists()


def test_the_number_of_processes_changes_nothing(predictions, score):
    results = [score(predictions, f"{n}.json", metrics=("miou", "ray_iou"), workers=n) for n in (1, 2, 3)]
    assert results[0].metrics["mIoU@all"] < 0.9
    for other in results[1:]:
        assert other.protocol == results[0].protocol
        assert all(other.counts[k].tobytes() == v.tobytes() for k, v in results[0].counts.items())


def test_flow_sums_do_not_depend_on_the_number_of_processes(tiny_world, tmp_path, score):
    save_truth(tiny_world, "openocc", tmp_path / "flow")
    for number, path in enumerate(sorted((tmp_path / "flow").glob("*/*.npz"))):
        with np.load(path) as file:
            noise = np.random.default_rng(number).normal(size=file["flow"].shape)
            np.savez_compressed(path, semantics=file["semantics"], flow=(file["flow"] + noise).astype(np.float16))
    options = {"labels": "openocc", "metrics": ("flow",)}
    one, two = (score(tmp_path / "flow", f"{n}.json", workers=n, **options) for n in (1, 2))
    assert one.metrics["mAVE"] > 0.5
    assert all(two.counts[k].tobytes() == v.tobytes() for k, v in one.counts.items())


def test_layouts_of_other_programs(predictions, tmp_path, score):
    expected = score(predictions).metrics
    flat, nested = tmp_path / "flat", tmp_path / "nested"
    flat.mkdir()
    for path in predictions.glob("*/*.npz"):
        with np.load(path) as file:
            np.savez(flat / path.name, file["semantics"])
            (nested / path.parent.name / path.stem).mkdir(parents=True)
            np.savez(nested / path.parent.name / path.stem / "labels.npz", pred=file["semantics"].astype(np.int64))
    assert score(flat).metrics == expected
    assert score(nested).metrics == expected


def test_a_rerun_continues_and_counts_what_has_changed(predictions, tmp_path, score):
    first, second = sorted(predictions.iterdir())
    broken = sorted(second.iterdir())[-1]
    whole = broken.read_bytes()
    broken.write_bytes(whole[:100])
    with pytest.raises(DataError, match=broken.stem):
        score(predictions)
    (part,) = (tmp_path / "result.json.parts").iterdir()
    assert part.stem == first.name
    broken.write_bytes(whole)
    with np.load(part) as file:
        arrays = dict(file)
    arrays["voxels"] += 1  # to see whether it is read
    np.savez(part, **arrays)
    continued = score(predictions)
    fresh = score(predictions, "fresh.json")
    assert continued.metrics != fresh.metrics
    (tmp_path / "result.json.parts").mkdir()
    np.savez(part, **arrays)
    (first / sorted(first.iterdir())[0].name).touch()
    assert score(predictions).metrics == fresh.metrics


def test_missing_unknown_and_repeated_samples_are_named(predictions, score):
    path = sorted(predictions.glob("*/*.npz"))[0]
    moved = path.rename(path.with_name("unknown.npz"))
    with pytest.raises(DataError, match=f"1 of 8 samples missing: {path.stem}"):
        score(predictions)
    moved.rename(path)
    copy = predictions / "unknown.npz"
    copy.write_bytes(path.read_bytes())
    with pytest.raises(DataError, match="unknown"):
        score(predictions)
    copy.rename(predictions / path.name)
    with pytest.raises(DataError, match="two predictions"):
        score(predictions)


def test_what_cannot_be_scored_is_refused_at_the_door(predictions, tmp_path, score):
    with pytest.raises(ConfigError, match="occ3d"):
        score(predictions, labels="occ4d")
    with pytest.raises(ConfigError, match="flow"):
        score(predictions, metrics=("flow",))
    with pytest.raises(DataError, match=r"nuScenes-Occupancy-v0\.1 does not exist"):
        score(predictions, labels="openoccupancy")
    with pytest.raises(DataError, match="holds no predictions"):
        score(tmp_path / "nothing")
    np.savez(sorted(predictions.glob("*/*.npz"))[0], semantics=np.full((200, 200, 16), 18, np.uint8))
    with pytest.raises(EvaluationError, match="out of range"):
        score(predictions)


def test_exchanged_axes_are_spoken_of_and_scored_as_they_are(tiny_world, predictions, score, monkeypatch):
    save_truth(tiny_world, "occ3d", predictions)
    for path in predictions.glob("*/*.npz"):
        with np.load(path) as file:
            np.savez(path, semantics=file["semantics"].swapaxes(0, 1))
    said = []
    monkeypatch.setattr(offline, "print_log", lambda message, **_: said.append(message))
    assert score(predictions).metrics["mIoU@all"] < 0.9
    assert len(said) == 2  # one for each scene
    assert all("x and y exchanged" in message for message in said)


def test_command(tiny_world, predictions, tmp_path, capsys):
    out = tmp_path / "command.json"
    arguments = ["evaluate", predictions, "--root", tiny_world, "--version", VERSION, "--split", "train", "--out", out]
    assert cli.main([str(a) for a in arguments]) == 0
    assert "mIoU@camera" in capsys.readouterr().out
    assert read_result(out).protocol.frames == 8


def test_occ3d_waymo(tmp_path):
    """Two scenes; the prediction of one frame misses a vehicle of two voxels, one of them outside the field of view."""
    shape, tokens = (200, 200, 16), ("1000000", "1000001", "1007000")
    for i, token in enumerate(tokens):
        labels, infov = np.full(shape, 23, np.uint8), np.ones(shape, np.uint8)
        labels[:, :, 0], labels[120:122, 100, 3] = 13, 1  # road, a vehicle of two voxels
        infov[121, 100, 3] = 0
        pose = np.eye(4)
        pose[0, 3] = 10.0 * i
        path = tmp_path / "waymo" / "gts" / "validation" / token[1:4] / f"{token[4:]}_04.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        seen = np.ones(shape, np.uint8)
        np.savez(
            path, voxel_label=labels, origin_voxel_state=seen, final_voxel_state=seen, infov=infov, ego2global=pose
        )
        prediction = np.where(labels == 23, 15, labels).transpose(2, 1, 0).copy()
        if i == 2:
            prediction[prediction == 1] = 15
        write_prediction(tmp_path / "predictions", token[:4], token, prediction)
    options = ["--root", str(tmp_path / "waymo"), "--labels", "occ3d-waymo", "--metrics", "miou", "ray_iou"]
    out = tmp_path / "result.json"
    assert cli.main(["evaluate", str(tmp_path / "predictions"), *options, "--workers", "2", "--out", str(out)]) == 0
    result = read_result(out)
    assert result.protocol.dataset == "WaymoOccDataset val"
    assert result.protocol.frames == 3
    vehicle = {name: scores[1].value for name, scores in result.classes.items()}
    assert vehicle["IoU@camera"] == pytest.approx(2 / 3)
    assert vehicle["IoU@all"] == pytest.approx(4 / 6)
    assert result.metrics["mIoU@camera"] == pytest.approx((1 + 2 / 3) / 2)
    assert 0.5 < result.metrics["RayIoU"] < 1.0
    assert result.counts["rays_truth"][1] > result.counts["rays_predicted"][1] > 0
