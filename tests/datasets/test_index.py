from __future__ import annotations

import json

import handmade
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmdet3d_plugin.datasets import tables
from mmdet3d_plugin.datasets.index import CAMERAS, load_index
from mmdet3d_plugin.datasets.splits import TRAINVAL_VAL, split_scenes
from mmdet3d_plugin.errors import ConfigError, DataError
from mmdet3d_plugin.geometry.transforms import apply, inverse, pose_matrix

ALL = [f"scene-{i:04d}" for i in range(1, 1201)]


def test_records_are_read_whatever_the_chunks(tmp_path, monkeypatch):
    records = [{"token": f"t{i}", "text": "a],[{" * i, "value": [i, {"x": 0.5}]} for i in range(40)]
    for indent in (None, 0, 2):
        (tmp_path / "sample.json").write_text(json.dumps(records, indent=indent))
        for chunk in (64, 1000, 1 << 20):
            monkeypatch.setattr(tables, "_CHUNK", chunk)
            assert list(tables.read_table(tmp_path, "sample")) == records
    (tmp_path / "sample.json").write_text(" [ ] \n")
    assert list(tables.read_table(tmp_path, "sample")) == []


@pytest.mark.parametrize("text", ["", "{}", '[{"token": 1}', '[{"token": 1}, {"tok', "[1, 2]", "<html>"])
def test_broken_tables_are_refused(tmp_path, text):
    (tmp_path / "scene.json").write_text(text)
    with pytest.raises(DataError, match="not a JSON list of records"):
        list(tables.read_table(tmp_path, "scene"))


def test_quaternions_by_hand():
    np.testing.assert_allclose(
        pose_matrix([1, 0, 0, 0], [1, 2, 3]), [[1, 0, 0, 1], [0, 1, 0, 2], [0, 0, 1, 3], [0, 0, 0, 1]]
    )
    half = np.sqrt(0.5)
    turned = pose_matrix([[half, 0, 0, half], [half, half, 0, 0]], [[0, 0, 0], [0, 0, 0]])
    np.testing.assert_allclose(turned[0, :3, :3] @ [1, 0, 0], [0, 1, 0], atol=1e-15)  # about z: x to y
    np.testing.assert_allclose(turned[1, :3, :3] @ [0, 1, 0], [0, 0, 1], atol=1e-15)  # about x: y to z


@given(st.integers(0, 2**31))
def test_inverse_of_poses_far_from_the_origin(seed):
    rng = np.random.default_rng(seed)
    pose = pose_matrix(rng.normal(size=(3, 4)), rng.normal(scale=2000, size=(3, 3)))
    np.testing.assert_allclose(inverse(pose) @ pose, np.broadcast_to(np.eye(4), (3, 4, 4)), atol=1e-9)
    points = rng.normal(size=(3, 5, 3))
    np.testing.assert_allclose(apply(inverse(pose), apply(pose, points)), points, atol=1e-9)


def test_columns(world):
    index = load_index(world, handmade.VERSION)
    assert index.scene_names.tolist() == ["scene-0061", "scene-0103"]
    assert index.scene.tolist() == [0] * 5 + [1] * 3
    assert index.previous.tolist() == [0, 0, 1, 2, 3, 5, 5, 6]
    assert index.image_file[3, 2] == "samples/CAM_FRONT_RIGHT/log__CAM_FRONT_RIGHT__03.jpg"
    assert index.image_size[0, 0].tolist() == list(handmade.SIZE)
    assert index.frames_of(1).tolist() == [5, 6, 7]
    np.testing.assert_allclose(index.global_from_ego[2, :3, 3], handmade.position(0, 1.0), atol=1e-9)
    chosen = index.select(["scene-0103"])
    assert chosen.scene.tolist() == [0, 0, 0]
    assert chosen.previous.tolist() == [0, 0, 1]
    assert chosen.token.tolist() == index.token[5:].tolist()
    assert len(CAMERAS) == index.intrinsics.shape[1]


def test_interleaved_scenes_are_kept_apart(broken_world):
    """Two logs recorded at the same time (spec/data/defects S5)."""
    path = broken_world / handmade.VERSION / "sample.json"
    samples = json.loads(path.read_text())
    first = samples[0]["timestamp"]
    for sample in samples:
        if sample["scene_token"] == "scenetoken1":
            sample["timestamp"] = sample["timestamp"] - 10**8 + 1000
    assert (
        first
        < min(s["timestamp"] for s in samples if s["scene_token"] == "scenetoken1")
        < max(s["timestamp"] for s in samples if s["scene_token"] == "scenetoken0")
    )
    path.write_text(json.dumps(samples[::-1]))
    index = load_index(broken_world, handmade.VERSION)
    assert index.scene.tolist() == [0] * 5 + [1] * 3
    assert (np.diff(index.timestamp[:5]) > 0).all()


@pytest.mark.parametrize(
    ("table", "change", "message"),
    [
        (
            "sample_data",
            lambda r: [x for x in r if "CAM_BACK__" not in x["filename"]],
            "no key frame of CAM_BACK",
        ),
        ("ego_pose", lambda r: r[1:], "ego pose"),
        ("scene", lambda r: r[1:], "belongs to a scene"),
        ("sample", lambda r: [], "no records"),
        (
            "calibrated_sensor",
            lambda r: [{k: v for k, v in x.items() if k != "rotation"} for x in r],
            "no field 'rotation'",
        ),
        ("calibrated_sensor", lambda r: [x | {"camera_intrinsic": []} for x in r], "without intrinsics"),
    ],
)
def test_incomplete_tables_name_what_is_missing(broken_world, table, change, message):
    path = broken_world / handmade.VERSION / f"{table}.json"
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    with pytest.raises(DataError, match=message):
        load_index(broken_world, handmade.VERSION)


def test_official_splits(tmp_path):
    scenes = sorted({*TRAINVAL_VAL, *(s for s in ALL if s not in TRAINVAL_VAL)})
    scenes = [*TRAINVAL_VAL, *[s for s in scenes if s not in TRAINVAL_VAL][:700]]
    train, val = (split_scenes(tmp_path, "v1.0-trainval", s, scenes) for s in ("train", "val"))
    assert (len(train), len(val)) == (700, 150)
    assert not set(train) & set(val)
    assert split_scenes(tmp_path, "v1.0-mini", "val", ["scene-0103", "scene-0061"]) == ("scene-0103",)
    assert split_scenes(tmp_path, "v1.0-test", "test", ["scene-0077"]) == ("scene-0077",)


def test_own_splits_win(tmp_path):
    (tmp_path / "splits.json").write_text('{"train": ["b", "a"], "val": ["c"]}')
    assert split_scenes(tmp_path, "v1.0-mini", "train", ["a", "b", "c"]) == ("a", "b")
    with pytest.raises(ConfigError, match="did you mean 'val'"):
        split_scenes(tmp_path, "v1.0-mini", "vla", ["a", "b", "c"])
    with pytest.raises(DataError, match=r"(?s)does not fit.*1 of its 2 scenes are absent, first 'b'"):
        split_scenes(tmp_path, "v1.0-mini", "train", ["a", "c"])
    for text in ("{", '{"train": "all"}', "[]"):
        (tmp_path / "splits.json").write_text(text)
        with pytest.raises(DataError, match=r"splits\.json"):
            split_scenes(tmp_path, "v1.0-mini", "train", ["a"])


def test_unknown_splits_are_never_guessed(tmp_path):
    for version, scenes in (("v1.0-trainval", ["scene-0001"]), ("v2.0", ["scene-0001"])):
        with pytest.raises(DataError, match=r"(?s)no split is known.*splits\.json"):
            split_scenes(tmp_path, version, "train", scenes)
