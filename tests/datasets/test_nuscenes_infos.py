"""The info pickles that we write: every key, by hand where the world is hand-made."""

from __future__ import annotations

import json
import pickle
import sys
from concurrent.futures import Future
from contextlib import nullcontext
from pathlib import Path
from runpy import run_path

import handmade
import numpy as np
import pytest

from mmdet3d_plugin.datasets import nuscenes_infos
from mmdet3d_plugin.datasets.index import CAMERAS, load_index
from mmdet3d_plugin.datasets.nuscenes_boxes import DETECTION_CLASSES, velocities
from mmdet3d_plugin.datasets.nuscenes_infos import create_infos
from mmdet3d_plugin.errors import DataError
from mmdet3d_plugin.geometry.transforms import apply, inverse
from mmdet3d_plugin.restricted_pickle import load_pickle

VERSION = handmade.VERSION
CAMERA_KEYS = {
    *("data_path", "type", "sample_data_token", "sensor2ego_translation", "sensor2ego_rotation", "timestamp"),
    *("ego2global_translation", "ego2global_rotation", "cam_intrinsic"),
    *("sensor2lidar_rotation", "sensor2lidar_translation"),
}
KEYS = {
    *("token", "timestamp", "scene_token", "scene_name", "lidar_path", "lidar_token", "sweeps", "cams", "occ_path"),
    *("lidar2ego_translation", "lidar2ego_rotation", "ego2global_translation", "ego2global_rotation", "prev"),
    "lidarseg_filename",
}
BOX_KEYS = {
    *("ann_infos", "gt_boxes", "gt_names", "gt_velocity", "num_lidar_pts", "num_radar_pts", "valid_flag"),
}
AHEAD, LEFT, HEIGHT = 10.0, 2.0, 0.8  # m: where the boxes are in the ego frame of the lidar's time
SIZE = (1.9, 4.5, 1.6)  # width, length, height
BOXES = (("vehicle.car", 3, 0), ("animal", 1, 0), ("vehicle.car", 0, 0), ("vehicle.bus.rigid", 0, 2))


@pytest.fixture
def annotated(broken_world) -> Path:
    """The hand-made world with boxes that drive along with the ego vehicle, turned by 0.3 rad against it."""
    folder = broken_world / VERSION
    tables = {name: json.loads((folder / f"{name}.json").read_text()) for name in ("sample", "sample_data", "category")}
    names = [record["name"] for record in tables["category"]]
    tables["category"] += [
        {"token": f"category_{name}", "name": name, "index": 9} for name, _, _ in BOXES if name not in names
    ]
    category = {record["name"]: record["token"] for record in tables["category"]}
    tables["instance"], tables["sample_annotation"] = [], []
    for scene, (_, count) in enumerate(handmade.SCENES.items()):
        tables["instance"] += [
            {"token": f"instance{scene}_{i}", "category_token": category[name]} for i, (name, _, _) in enumerate(BOXES)
        ]
        tables["sample_annotation"] += [annotation(scene, i, k, count) for k in range(count) for i in range(len(BOXES))]
    stamps = {sample["token"]: sample["timestamp"] for sample in tables["sample"]}
    for sample in tables["sample"]:
        scene, frame = sample["token"].removeprefix("sample").split("_")
        sample["prev"] = f"sample{scene}_{int(frame) - 1}" if int(frame) else ""
    for record in tables["sample_data"]:
        record["timestamp"] = stamps[record["sample_token"]] - (0 if "LIDAR" in record["token"] else 35_000)
    for name, records in tables.items():
        (folder / f"{name}.json").write_text(json.dumps(records))
    return broken_world


def annotation(scene: int, i: int, frame: int, count: int) -> dict:
    yaw = handmade.heading(scene)
    x, y, z = handmade.position(scene, 0.5 * frame)
    x, y = x + AHEAD * np.cos(yaw) - LEFT * np.sin(yaw), y + AHEAD * np.sin(yaw) + LEFT * np.cos(yaw)
    token = f"annotation{scene}_{i}_"
    return {
        "token": f"{token}{frame}",
        "sample_token": f"sample{scene}_{frame}",
        "instance_token": f"instance{scene}_{i}",
        "translation": [x, y, z + HEIGHT],
        "size": SIZE,
        "rotation": handmade.turn(yaw + 0.3).tolist(),
        "num_lidar_pts": BOXES[i][1],
        "num_radar_pts": BOXES[i][2],
        "prev": f"{token}{frame - 1}" if frame else "",
        "next": f"{token}{frame + 1}" if frame + 1 < count else "",
    }


def create(root: Path, out: Path, **options) -> dict[str, list[dict]]:
    arguments = {"tag": "nuscenes", "version": VERSION, "workers": 1, "progress": False, **options}
    files = create_infos(str(root), out, **arguments)
    return {file.stem.rsplit("_", 1)[1]: load_pickle(file)["infos"] for file in files}


def test_every_key(annotated, tmp_path):
    infos = create(annotated, tmp_path / "out")
    assert {split: len(content) for split, content in infos.items()} == {"train": 5, "val": 3}
    for info in (info for content in infos.values() for info in content):
        assert set(info) == KEYS | BOX_KEYS
        assert list(info["cams"]) == [
            *("CAM_FRONT", "CAM_FRONT_RIGHT", "CAM_FRONT_LEFT", "CAM_BACK", "CAM_BACK_LEFT", "CAM_BACK_RIGHT")
        ]
        for name, camera in info["cams"].items():
            assert set(camera) == CAMERA_KEYS
            assert camera["type"] == name
            assert type(camera["timestamp"]) is int
    info = infos["train"][2]
    assert info["token"] == "sample0_2"
    assert info["prev"] == "sample0_1"
    assert (info["scene_token"], info["scene_name"]) == ("scenetoken0", "scene-0061")
    assert info["sweeps"] == []
    assert info["lidar_token"] == "data_sample0_2_LIDAR_TOP"
    assert info["occ_path"] == f"{annotated}/gts/scene-0061/sample0_2"
    assert info["lidar_path"] == f"{annotated}/samples/LIDAR_TOP/log__LIDAR_TOP__02.pcd.bin"
    assert info["lidarseg_filename"] == f"{annotated}/lidarseg/{VERSION}/data_sample0_2_LIDAR_TOP_lidarseg.bin"
    assert info["timestamp"] - info["cams"]["CAM_BACK"]["timestamp"] == 35_000
    assert info["lidar2ego_translation"] == list(handmade.LIDAR_POSITION)
    assert info["ego2global_translation"] == list(handmade.position(0, 1.0))
    assert Path(info["occ_path"], "labels.npz").is_file()
    assert infos["train"][0]["prev"] == ""


def test_types_are_those_of_the_published_files(annotated, tmp_path):
    info = create(annotated, tmp_path)["train"][1]
    assert info["gt_boxes"].dtype == np.float64
    assert info["gt_names"].dtype.kind == "U"
    assert info["valid_flag"].dtype == bool
    assert info["num_lidar_pts"].dtype == np.int64
    for value in (info["lidar2ego_rotation"], info["cams"]["CAM_BACK"]["ego2global_rotation"]):
        assert isinstance(value, list)
        assert len(value) == 4
    vectors, labels = info["ann_infos"]
    assert [type(part) for part in (info["ann_infos"], vectors, labels)] == [tuple, list, list]
    raw = (tmp_path / "nuscenes_infos_train.pkl").read_bytes()
    assert b"_core" not in raw  # numpy 1 reads it
    assert raw[:2] == b"\x80\x04"
    plain = pickle.loads(raw)  # as the published stack does; the file is ours
    assert type(plain["infos"][1]["gt_boxes"]) is np.ndarray
    np.testing.assert_array_equal(plain["infos"][1]["gt_boxes"], info["gt_boxes"])
    assert plain["metadata"] == {"version": VERSION}


def test_boxes_by_hand(annotated, tmp_path):
    info = create(annotated, tmp_path)["train"][2]
    assert info["gt_names"].tolist() == ["car", "animal", "car", "bus"]
    assert info["num_lidar_pts"].tolist() == [3, 1, 0, 0]
    assert info["num_radar_pts"].tolist() == [0, 0, 0, 2]
    assert info["valid_flag"].tolist() == [True, True, False, True]
    width, length, height = SIZE
    x, y, z = handmade.LIDAR_POSITION  # lidar: x to the right, y ahead
    in_lidar = [-(LEFT - y), AHEAD - x, HEIGHT - z, length, width, height, 0.3 + np.pi / 2]
    np.testing.assert_allclose(info["gt_boxes"], [in_lidar] * 4, atol=1e-9)
    np.testing.assert_allclose(info["gt_velocity"], [[0, handmade.SPEED]] * 4, atol=1e-7)
    vectors, labels = info["ann_infos"]
    assert [DETECTION_CLASSES[label] for label in labels] == ["car", "bus"]  # no animal, and no car without returns
    ahead = AHEAD + handmade.SPEED * handmade.DELAY  # CAM_FRONT fired 35 ms before, the ego vehicle was further back
    in_ego = [ahead, LEFT, HEIGHT, length, width, height, 0.3, handmade.SPEED, 0]
    np.testing.assert_allclose(vectors, [in_ego] * 2, atol=1e-7)


def test_cameras_are_related_to_the_lidar_through_both_ego_poses(annotated, tmp_path):
    info = create(annotated, tmp_path)["val"][1]
    index = load_index(annotated, VERSION)
    row = index.token.tolist().index(info["token"])
    global_from_lidar = index.global_from_ego[row] @ index.ego_from_lidar[row]
    for number, name in enumerate(CAMERAS):
        camera = info["cams"][name]
        expected = inverse(global_from_lidar) @ (
            index.camera_global_from_ego[row, number] @ index.camera_ego_from_cam[row, number]
        )
        point = np.array([0.3, -0.2, 7.0])
        ours = camera["sensor2lidar_rotation"] @ point + camera["sensor2lidar_translation"]
        np.testing.assert_allclose(ours, apply(expected, point[None])[0], atol=1e-9)
    # 1.5 m ahead on the car that was 0.35 m further back; the lidar is 0.94 m ahead, its y axis forward
    front = info["cams"]["CAM_FRONT"]["sensor2lidar_translation"]
    np.testing.assert_allclose(front, [0, 1.5 - 0.35 - 0.94, 1.5 - 1.84], atol=1e-9)


def test_velocities_by_hand():
    seconds = np.array([0.0, 0.5, 1.0, 0.0, 2.0, 0.0, 1.6, 3.1, 0.0])
    center = np.array([[0, 0, 0], [1, 0, 0], [3, 0, 2], [0, 0, 0], [1, 0, 0], [0, 0, 0], [2, 0, 0], [3, 1, 0], [0] * 3])
    before = np.array([-1, 0, 1, -1, 3, -1, 5, 6, -1])
    after = np.array([1, 2, -1, 4, -1, 6, 7, -1, -1])
    nothing = [np.nan] * 3
    expected = [
        [2, 0, 0],  # to the next only
        [3, 0, 2],  # across both
        [4, 0, 4],  # from the previous only
        nothing,  # two seconds to the only neighbour
        nothing,
        nothing,  # 1.6 s
        nothing,  # 3.1 s across both
        [2 / 3, 2 / 3, 0],  # exactly 1.5 s
        nothing,  # seen once
    ]
    stamps = (1e6 * seconds).astype(np.int64)
    np.testing.assert_allclose(velocities(center.astype(float), stamps, before, after), expected)


def test_the_number_of_processes_changes_nothing_and_nothing_else_is_left(tiny_world, tmp_path):
    create(tiny_world, tmp_path / "one", workers=1)
    create(tiny_world, tmp_path / "two", workers=2)
    names = ["nuscenes_infos_train.pkl", "nuscenes_infos_val.pkl"]
    for folder in ("one", "two"):
        assert sorted(p.name for p in (tmp_path / folder).iterdir()) == names
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


class Here:
    """A pool that works in this process."""

    def submit(self, _, scene) -> Future:
        future: Future = Future()
        try:
            future.set_result(nuscenes_infos._write_scene(scene))
        except DataError as error:
            future.set_exception(error)
        return future


def test_a_stopped_run_goes_on_where_it_ended(tiny_world, tmp_path, monkeypatch):
    create(tiny_world, tmp_path / "whole")
    written, write = [], nuscenes_infos._write_scene

    def fail_at_the_second(scene):
        if written:
            raise DataError("the disk is full")
        write(scene)
        written.append(scene.name)

    def remember(scene):
        written.append(scene.name)
        write(scene)

    monkeypatch.setattr(nuscenes_infos, "process_pool", lambda *_: nullcontext(Here()))
    monkeypatch.setattr(nuscenes_infos, "_write_scene", fail_at_the_second)
    with pytest.raises(DataError, match="the disk is full"):
        create(tiny_world, tmp_path / "out")
    assert not list((tmp_path / "out").glob("*.pkl"))
    monkeypatch.setattr(nuscenes_infos, "_write_scene", remember)
    first = written.pop()
    create(tiny_world, tmp_path / "out")
    assert len(written) == 2
    assert first not in written
    for file in (tmp_path / "whole").iterdir():
        assert (tmp_path / "out" / file.name).read_bytes() == file.read_bytes()


def test_the_test_version_has_one_split_and_no_boxes(annotated, tmp_path):
    (annotated / VERSION).rename(annotated / "v1.0-test")
    (annotated / "v1.0-test" / "sample_annotation.json").write_text("[]")
    (annotated / "v1.0-test" / "lidarseg.json").unlink()
    infos = create(annotated, tmp_path / "out", version="v1.0-test")
    assert list(infos) == ["test"]
    assert len(infos["test"]) == 8
    assert set(infos["test"][0]) == KEYS - {"lidarseg_filename"}


@pytest.mark.parametrize(
    ("table", "change", "message"),
    [
        ("instance", lambda r: r[1:], "category of instance 'instance0_0'"),
        ("sample_annotation", lambda r: r[1:], "annotation0_0_0"),
        ("sample_annotation", lambda r: [x | {"size": [1, 2]} for x in r], "is no box"),
        ("sample", lambda r: [{k: v for k, v in x.items() if k != "prev"} for x in r], "no field 'prev'"),
    ],
)
def test_incomplete_tables_are_named(annotated, tmp_path, table, change, message):
    path = annotated / VERSION / f"{table}.json"
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    with pytest.raises(DataError, match=message):
        create(annotated, tmp_path / "out")


def test_published_commands(annotated, tmp_path, monkeypatch, capsys):
    tools = Path(__file__).resolve().parents[2] / "tools"
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "nuscenes").symlink_to(annotated)
    common = ["--version", VERSION, "--workers", "1"]
    folders = ["--root-path", "./data/nuscenes", "--out-dir", "./data/nuscenes"]
    command = ["create_data.py", "nuscenes", *folders, "--extra-tag", "nuscenes", *common]
    monkeypatch.setattr(sys, "argv", command)
    run_path(str(tools / "create_data.py"), run_name="__main__")
    bevdet = run_path(str(tools / "create_data_bevdet.py"))
    bevdet["main"](common)
    extract = run_path(str(tools / "nusc_process" / "extract_sem_point.py"))
    extract["main"](common)
    for tag in ("nuscenes", "bevdetv2-nuscenes"):
        for split in ("train", "val"):
            infos = load_pickle(tmp_path / "data" / "nuscenes" / f"{tag}_infos_{split}.pkl")["infos"]
            assert infos[0]["lidar_path"].startswith("./data/nuscenes/samples/LIDAR_TOP/")
    assert len(list((tmp_path / "data" / "lidar_seg").iterdir())) == 8
    assert "8 sweeps in ./data/lidar_seg" in capsys.readouterr().out
