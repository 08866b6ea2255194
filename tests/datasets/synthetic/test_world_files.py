"""Creating a data set: tables, marker, determinism, resuming, and errors at the door."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmdet3d_plugin.datasets.synthetic import create as create_module
from mmdet3d_plugin.datasets.synthetic import create_world
from mmdet3d_plugin.datasets.synthetic.catalog import LIDARSEG_NAMES
from mmdet3d_plugin.datasets.synthetic.presets import PRESETS
from mmdet3d_plugin.errors import ConfigError, DataError

from .conftest import Written

SMALL_IMAGES = 0.06


def make(root: Path, **options) -> Path:
    return create_world(root, "tiny", image_scale=SMALL_IMAGES, progress=False, **options)


def digest(root: Path) -> dict[str, str]:
    files = sorted(p for p in root.rglob("*") if p.is_file())
    return {p.relative_to(root).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("reference") / "world", workers=2)


def make_partly(root: Path, frames: int, monkeypatch: pytest.MonkeyPatch, **options) -> None:
    """Make a world, and stop the program after some frames."""
    whole, done = create_module.write_keyframe, []

    def write(task):
        if len(done) == frames:
            raise KeyboardInterrupt
        whole(task)
        done.append(task)

    with monkeypatch.context() as patch:
        patch.setattr(create_module, "write_keyframe", write)
        with pytest.raises(KeyboardInterrupt):
            make(root, workers=1, **options)


def test_one_process_resumed_writes_the_same_bytes_as_two(
    tmp_path: Path, reference: Path, monkeypatch: pytest.MonkeyPatch
):
    root = tmp_path / "world"
    make_partly(root, 5, monkeypatch)
    assert "complete" not in json.loads((root / "SYNTHETIC.json").read_text())
    images = sorted((root / "samples" / "CAM_FRONT").iterdir())
    assert len(images) == 5
    times = [p.stat().st_mtime_ns for p in images]
    make(root, workers=1)
    assert [p.stat().st_mtime_ns for p in images] == times  # finished frames are kept
    assert digest(root) == digest(reference)


def test_a_finished_world_is_left_alone(reference: Path):
    before = {p: p.stat().st_mtime_ns for p in reference.rglob("*")}
    assert make(reference) == reference
    assert {p: p.stat().st_mtime_ns for p in reference.rglob("*")} == before


def test_other_parameters_need_another_folder(reference: Path):
    with pytest.raises(ConfigError, match="other parameters"):
        make(reference, seed=1)


def test_foreign_folders_are_refused(tmp_path: Path):
    (tmp_path / "precious.txt").write_text("real data")
    with pytest.raises(ConfigError, match="not empty"):
        make(tmp_path)
    with pytest.raises(ConfigError, match="tiny"):
        create_world(tmp_path / "new", "tinny")
    with pytest.raises(ConfigError, match="image scale"):
        create_world(tmp_path / "new", "tiny", image_scale=3.0)
    assert not (tmp_path / "new").exists()


def test_a_full_disk_is_reported_with_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(self, *arguments, **keywords):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("mmdet3d_plugin.datasets.synthetic.files.Image.Image.save", full)
        with pytest.raises(DataError, match=r"(?s)CAM_FRONT.*No space left.*run the same command again"):
            make(tmp_path / "world", workers=1)
    assert not [p for p in (tmp_path / "world").rglob(".*") if p.is_file()]  # nothing half-written stays


def test_marker_and_names_say_synthetic(tiny_world: Path):
    marker = json.loads((tiny_world / "SYNTHETIC.json").read_text())
    assert marker["synthetic"] is True
    assert marker["complete"] is True
    assert (marker["preset"], marker["seed"], marker["version"]) == ("tiny", 0, "v1.0-mini")
    (log, *_) = json.loads((tiny_world / "v1.0-mini" / "log.json").read_text())
    assert all("synthetic" in log[key] for key in ("logfile", "vehicle", "location"))
    splits = json.loads((tiny_world / "splits.json").read_text())
    assert splits == {"train": ["scene-0061", "scene-0553"], "val": ["scene-0103"]}


def test_presets_name_official_scenes():
    for preset in PRESETS.values():
        splits = preset.splits
        assert len(set(splits["train"]) | set(splits["val"])) == preset.train_scenes + preset.val_scenes
    assert PRESETS["learn"].version == "v1.0-trainval"
    assert PRESETS["small"].splits["val"] == ["scene-0103", "scene-0916"]


def test_tables_are_complete_and_linked(tiny_world: Path):
    folder = tiny_world / "v1.0-mini"
    tables = {p.stem: json.loads(p.read_text()) for p in folder.glob("*.json")}
    assert set(tables) == {
        "attribute", "calibrated_sensor", "category", "ego_pose", "instance", "lidarseg", "log", "map", "sample",
        "sample_annotation", "sample_data", "scene", "sensor", "visibility",
    }  # fmt: skip
    tokens = {name: {r["token"] for r in table} for name, table in tables.items()}
    assert all(len(tokens[name]) == len(table) for name, table in tables.items())
    assert [(c["name"], c["index"]) for c in tables["category"]] == [(n, i) for i, n in enumerate(LIDARSEG_NAMES)]
    for name, table in tables.items():
        for record in table:
            for key, value in record.items():
                other = {"first_sample_token": "sample", "last_sample_token": "sample"}.get(
                    key, key.removesuffix("_token")
                )
                if key.endswith("_token") and other in tokens and value:
                    assert value in tokens[other], (name, key)
    for name in ("sample", "sample_data", "sample_annotation"):
        by_token = {r["token"]: r for r in tables[name]}
        for record in tables[name]:
            assert not record["next"] or by_token[record["next"]]["prev"] == record["token"]
    assert len(list((tiny_world / "lidarseg" / "v1.0-mini").iterdir())) == len(tables["lidarseg"])
    assert all((tiny_world / m["filename"]).is_file() for m in tables["map"])
    assert {token for m in tables["map"] for token in m["log_tokens"]} == tokens["log"]
    for data in tables["sample_data"]:
        path = tiny_world / data["filename"]
        assert path.is_file()
        if data["fileformat"] == "jpg":
            assert Image.open(path).size == (data["width"], data["height"]) == (352, 198)


def test_cameras_are_not_triggered_together(written: Written):
    """Every image has its own time and its own ego pose: this is what catches mixed-up frames."""
    index = written.index
    apart = np.linalg.norm(index.camera_global_from_ego[:, :, :3, 3] - index.global_from_ego[:, None, :3, 3], axis=-1)
    assert (apart > 0).all()
    assert 0.1 < apart.max() < 0.7
    assert np.ptp(index.intrinsics[:, 1, 0, 0]) > 0  # calibration differs between scenes
    assert (index.global_from_ego[:, 2, 3] == 0).all()


def test_images_differ_and_have_contrast(written: Written):
    for camera in range(6):
        image = np.asarray(Image.open(written.root / written.index.image_file[0, camera]), float)
        assert image.std() > 25
        assert 60 < image.mean() < 190


def test_lidar_rows_are_real_rows(written: Written):
    points = written.points(0)
    assert len(points) == len(written.point_classes(0))
    assert set(np.unique(points[:, 4])) == set(range(32))
    assert points[:, 3].min() >= 0
    assert points[:, 3].max() <= 255
    assert np.linalg.norm(points[:, :3], axis=1).max() <= 100.001
    assert 20_000 < len(points) < 34_720


def test_openoccupancy_on_request(tmp_path: Path, reference: Path, monkeypatch: pytest.MonkeyPatch):
    make_partly(tmp_path / "world", 1, monkeypatch, openoccupancy=True)
    (path,) = (tmp_path / "world" / "nuScenes-Occupancy-v0.1").rglob("*.npy")
    rows = np.load(path)
    assert path.parent.parent.name.startswith("scene_")
    assert rows.dtype == np.int32
    assert (rows.min(0) >= 0).all()
    assert (rows.max(0) <= (39, 511, 511, 16)).all()  # z first
    ground = rows[np.isin(rows[:, 3], (11, 12, 13, 14)), 0]
    assert 8 <= np.median(ground) <= 22
    assert not (reference / "nuScenes-Occupancy-v0.1").exists()


def test_the_devkit_loads_it(tiny_world: Path):
    nuscenes = pytest.importorskip("nuscenes.nuscenes", reason="nuscenes-devkit is not installed")
    devkit = nuscenes.NuScenes(version="v1.0-mini", dataroot=str(tiny_world), verbose=False)
    assert len(devkit.scene) == 3
    assert len(devkit.lidarseg) == 12
    speeds = [np.linalg.norm(devkit.box_velocity(a["token"])[:2]) for a in devkit.sample_annotation]
    assert np.nanmax(speeds) > 2
