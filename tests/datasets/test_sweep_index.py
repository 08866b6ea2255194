"""The index of camera sweeps: which there are, from tables that are whole and from tables that are not."""

from __future__ import annotations

import json
from pathlib import Path

import handmade
import handmade_sweeps
import numpy as np
import pytest

from mmdet3d_plugin.datasets import NuScenesOccDataset, sweep_index
from mmdet3d_plugin.datasets.index import load_index
from mmdet3d_plugin.datasets.sweep_index import load_sweeps
from mmdet3d_plugin.errors import DataError

VERSION = handmade.VERSION


@pytest.fixture
def sweep_root(broken_world) -> Path:
    return handmade_sweeps.add(broken_world)


def edit(root: Path, table: str, change) -> None:
    path = root / VERSION / f"{table}.json"
    path.write_text(json.dumps(change(json.loads(path.read_text()))))


def counts(root: Path) -> list[int]:
    load_sweeps.cache_clear()
    load_index.cache_clear()
    return np.diff(load_sweeps(root, VERSION).start).tolist()


def test_columns(sweep_root):
    index = load_sweeps(sweep_root, VERSION)
    assert index.token.tolist() == load_index(sweep_root, VERSION).token.tolist()
    assert np.diff(index.start).tolist() == [0, 5, 5, 5, 5, 0, 5, 5]
    assert index.present.all()
    assert index.file.dtype.kind == "S"
    assert index.file[2, 4].decode() == "sweeps/CAM_BACK/0_1_2.jpg"
    assert index.intrinsics.shape == (6, 3, 3)
    np.testing.assert_array_equal(index.intrinsics[index.calibration[7, 3]][0], [handmade.FOCAL, 0, 79.5])
    lidar = load_index(sweep_root, VERSION).timestamp
    np.testing.assert_array_equal(index.key_time, np.tile(lidar[:, None] - 35_000, (1, 6)))
    np.testing.assert_array_equal(index.time[5:10, 0], index.key_time[2, 0] - 80_000 * np.arange(1, 6))
    tokens = index.token[[6, 2]]
    assert index.rows_of(tokens).tolist() == [6, 2]


def test_it_is_kept_as_mapped_columns_and_made_only_on_request(sweep_root, monkeypatch):
    NuScenesOccDataset(**handmade.config(sweep_root))
    kept = sweep_root / ".occstudio"
    assert [path.name for path in kept.iterdir() if path.is_dir()] == [f"tables-{VERSION}"]
    before = load_sweeps(sweep_root, VERSION)
    assert (kept / f"sweeps-{VERSION}").is_dir()
    monkeypatch.setattr(sweep_index, "_from_tables", lambda *_: pytest.fail("made again"))
    load_sweeps.cache_clear()
    again = load_sweeps(sweep_root, VERSION)
    assert again.file.tolist() == before.file.tolist()
    assert isinstance(again.global_from_cam.base, np.memmap)


def test_the_five_newest_count(sweep_root):
    """In a world of 25 Hz, as in the published pickles."""

    def denser(records: list[dict]) -> list[dict]:
        extra = [
            record | {"token": record["token"] + "+", "timestamp": record["timestamp"] - 40_000}
            for record in records
            if not record["is_key_frame"]
        ]
        return records + extra

    edit(sweep_root, "sample_data", denser)
    assert counts(sweep_root) == [0, 5, 5, 5, 5, 0, 5, 5]
    index = load_sweeps(sweep_root, VERSION)
    np.testing.assert_array_equal(index.time[:5, 0], index.key_time[1, 0] - 1000 * np.array([80, 120, 160, 200, 240]))


def test_images_count_between_the_key_frames_of_their_own_camera(sweep_root):
    """Neither before the first key frame, nor after the last, nor those of another scene or of no sample."""

    def strange(records: list[dict]) -> list[dict]:
        (sweep,) = [r for r in records if r["token"] == "sample0_1_CAM_BACK_0"]
        first = next(r for r in records if r["is_key_frame"] and r["sample_token"] == "sample0_0")
        last = next(r for r in records if r["is_key_frame"] and r["sample_token"] == "sample0_4")
        return [
            *records,
            sweep | {"token": "early", "timestamp": first["timestamp"] - 90_000},
            sweep | {"token": "late", "sample_token": "sample0_4", "timestamp": last["timestamp"] + 90_000},
            sweep | {"token": "foreign", "sample_token": "elsewhere"},
            sweep | {"token": "double", "timestamp": last["timestamp"]},
        ]

    edit(sweep_root, "sample_data", strange)
    assert counts(sweep_root) == [0, 5, 5, 5, 5, 0, 5, 5]
    assert load_sweeps(sweep_root, VERSION).present.all()


def test_a_lost_image_is_marked_and_a_lost_interval_is_empty(sweep_root):
    lost = {"sample0_1_CAM_BACK_2", *(f"sample0_3_{c}_{k}" for c in sweep_index.CAMERAS for k in range(5))}
    edit(sweep_root, "sample_data", lambda records: [r for r in records if r["token"] not in lost])
    assert counts(sweep_root) == [0, 5, 5, 0, 5, 0, 5, 5]
    index = load_sweeps(sweep_root, VERSION)
    assert np.argwhere(~index.present).tolist() == [[4, 4]]  # the camera has four images, so the fifth lacks it
    assert index.file[4, 4] == b""


def test_no_sweeps_make_an_empty_index(broken_world):
    edit(broken_world, "sample_data", lambda records: [r | {"timestamp": 1} for r in records])
    index = load_sweeps(broken_world, VERSION)
    assert index.file.shape == index.present.shape == (0, 6)
    assert not index.start.any()


@pytest.mark.parametrize(
    ("table", "change", "message"),
    [
        ("sample_data", lambda r: {k: v for k, v in r.items() if k != "timestamp"}, "no field 'timestamp'"),
        ("sample_data", lambda r: r | {"timestamp": "yesterday"}, "another type"),
        ("sample_data", lambda r: r | {"ego_pose_token": r["ego_pose_token"] + "?"}, "is not in .*ego_pose.json"),
        ("sample_data", lambda r: r | {"filename": 7}, "another type"),
        ("ego_pose", lambda r: r | {"rotation": [1, 0]}, "another type"),
        ("ego_pose", lambda r: {k: v for k, v in r.items() if k != "translation"}, "no field 'translation'"),
    ],
)
def test_broken_tables_are_named(sweep_root, table, change, message):
    def broken(records: list[dict]) -> list[dict]:
        return [change(r) if r["token"] == "sample0_2_CAM_FRONT_1" else r for r in records]

    edit(sweep_root, table, broken)
    with pytest.raises(DataError, match=message):
        load_sweeps(sweep_root, VERSION)
