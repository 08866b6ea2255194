"""Sweeps between key frames: rates, chains and poses as in nuScenes; what they add and what they leave alone."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmdet3d_plugin.datasets.key_frames import CAMERAS
from mmdet3d_plugin.datasets.synthetic import World, create_world
from mmdet3d_plugin.datasets.synthetic import create as create_module
from mmdet3d_plugin.datasets.synthetic.keyframe import KeyFrameTask
from mmdet3d_plugin.datasets.synthetic.presets import get_preset
from mmdet3d_plugin.datasets.synthetic.sweeps import sweep_tasks, write_sweeps
from mmdet3d_plugin.errors import ConfigError
from mmdet3d_plugin.geometry.transforms import inverse, pose_matrix

from .test_world_files import digest

TABLES = ("sample", "sample_data", "ego_pose", "calibrated_sensor", "sensor", "scene")


@pytest.fixture(scope="module")
def tables(sweep_world: Path) -> dict[str, dict[str, dict]]:
    """Records of each table by token."""
    folder = sweep_world / "v1.0-mini"
    return {name: {r["token"]: r for r in json.loads((folder / f"{name}.json").read_text())} for name in TABLES}


def chains(tables: dict[str, dict[str, dict]]) -> dict[tuple[str, str], list[dict]]:
    """All sample_data of each scene and channel, along `next`."""
    result = {}
    for record in tables["sample_data"].values():
        if record["prev"]:
            continue
        chain = [record]
        while chain[-1]["next"]:
            chain.append(tables["sample_data"][chain[-1]["next"]])
            assert chain[-1]["prev"] == chain[-2]["token"]
        calibration = tables["calibrated_sensor"][record["calibrated_sensor_token"]]
        scene = tables["scene"][tables["sample"][record["sample_token"]]["scene_token"]]["name"]
        result[scene, tables["sensor"][calibration["sensor_token"]]["channel"]] = chain
    return result


def test_chains_run_at_12_and_20_hertz_from_key_frame_to_key_frame(tables):
    found = chains(tables)
    assert len(found) == 3 * 7
    assert sum(map(len, found.values())) == len(tables["sample_data"])
    for (_, channel), chain in found.items():
        step, rate = (6, 12) if channel in CAMERAS else (10, 20)
        assert [record["is_key_frame"] for record in chain] == [n % step == 0 for n in range(3 * step + 1)]
        times = np.array([record["timestamp"] for record in chain])
        np.testing.assert_allclose(np.diff(times), 1e6 / rate, atol=1)
        assert len({record["calibrated_sensor_token"] for record in chain}) == 1
        stamps = [tables["sample"][record["sample_token"]]["timestamp"] for record in chain]
        following = [stamps[-(-n // step) * step] for n in range(len(chain))]  # the key frame that comes next
        assert stamps == following


def test_files_and_poses_belong_to_their_time(sweep_world, tables):
    preset = get_preset("tiny")
    for (scene, channel), chain in chains(tables).items():
        world = World(0, scene, preset.duration, preset.image_scale)
        first = tables["sample"][chain[0]["sample_token"]]["timestamp"]
        for record in chain:
            kind = "samples" if record["is_key_frame"] else "sweeps"
            assert record["filename"].startswith(f"{kind}/{channel}/")
            assert str(record["timestamp"]) in record["filename"]
            assert (sweep_world / record["filename"]).is_file()
            ego = tables["ego_pose"][record["ego_pose_token"]]
            assert ego["timestamp"] == record["timestamp"]
            pose = world.ego_pose((record["timestamp"] - first) * 1e-6)
            np.testing.assert_allclose(pose_matrix(ego["rotation"], ego["translation"]), pose, atol=2e-5)
    listed = {r["filename"] for r in tables["sample_data"].values() if not r["is_key_frame"]}
    assert listed == {p.relative_to(sweep_world).as_posix() for p in (sweep_world / "sweeps").rglob("*.*")}


def test_images_are_those_of_their_pose(sweep_world, tables):
    """Against a rendering without noise, and against that of the key frame as a control."""
    preset = get_preset("tiny")
    world = World(0, "scene-0061", preset.duration, preset.image_scale)
    chain = chains(tables)["scene-0061", "CAM_FRONT_LEFT"]
    camera = next(c for c in world.rig.cameras if c.channel == "CAM_FRONT_LEFT")

    def expected(record: dict) -> np.ndarray:
        time = (record["timestamp"] - chain[0]["timestamp"]) * 1e-6 + camera.delay
        return world.render(time, world.ego_pose(time) @ camera.ego_from_cam, camera.intrinsics, camera.size).rgb

    for record, other in pairwise(chain[2:7]):
        image = np.asarray(Image.open(sweep_world / record["filename"]), dtype=float)
        assert np.abs(image - expected(record)).mean() < 4.5
        assert np.abs(image - expected(other)).mean() > 9


def test_lidar_sweeps_meet_the_sweep_of_the_key_frame(sweep_world, tables):
    """Surroundings that the poses bring together fill about the same cells; shifted by 1 m they do not."""
    chain = chains(tables)["scene-0061", "LIDAR_TOP"]
    key, sweep = chain[10], chain[7]

    def cells(record: dict, shift: float = 0.0) -> set[tuple[int, ...]]:
        calibration = tables["calibrated_sensor"][record["calibrated_sensor_token"]]
        points = np.fromfile(sweep_world / record["filename"], "<f4").reshape(-1, 5)[:, :3].astype(float)
        poses = [tables["ego_pose"][r["ego_pose_token"]] for r in (key, record)]
        here, there = (pose_matrix(p["rotation"], p["translation"]) for p in poses)
        pose = inverse(here) @ there @ pose_matrix(calibration["rotation"], calibration["translation"])
        points = points @ pose[:3, :3].T + pose[:3, 3] + (shift, shift, 0)
        near = (np.abs(points[:, :2]) < 20).all(axis=1) & (points[:, 2] > 0.5)
        return set(map(tuple, np.floor(points[near] / 0.2).astype(int).tolist()))

    reference = cells(key)
    shared = len(cells(sweep) & reference) / len(reference)
    shifted = len(cells(sweep, 1.0) & reference) / len(reference)
    assert shared > 1.4 * shifted


def test_a_world_without_sweeps_is_the_same_but_for_them(sweep_world, tiny_world):
    """All other files to the byte, and the records of all key frames but for their links."""

    def others(root: Path) -> dict[str, str]:
        changed = ("sweeps/", ".occstudio/", "SYNTHETIC.json", "v1.0-mini/sample_data.json", "v1.0-mini/ego_pose.json")
        return {name: value for name, value in digest(root).items() if not name.startswith(changed)}

    assert others(sweep_world) == others(tiny_world)
    for name in ("sample_data", "ego_pose"):
        more, fewer = (json.loads((w / "v1.0-mini" / f"{name}.json").read_text()) for w in (sweep_world, tiny_world))
        kept = {r["token"]: {k: v for k, v in r.items() if k not in ("prev", "next")} for r in more}
        assert len(more) > len(fewer)
        assert all(kept[r["token"]] == {k: v for k, v in r.items() if k not in ("prev", "next")} for r in fewer)
    assert json.loads((sweep_world / "SYNTHETIC.json").read_text())["sweeps"] == 5
    assert "sweeps" not in json.loads((tiny_world / "SYNTHETIC.json").read_text())


def test_processes_and_interruptions_change_no_byte(tmp_path: Path):
    def tasks(name: str) -> list:
        key_frames = [KeyFrameTask(tmp_path / name, "v1.0-mini", 0, "scene-0061", k, 4, 0.06, False) for k in range(4)]
        return sweep_tasks(key_frames, 2)

    assert [task.key_frame.index for task in tasks("a")] == [1, 2, 3]
    for task in tasks("a"):
        write_sweeps(task)
    create_module._write_frames(write_sweeps, tasks("b")[:1], 1, False)
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "b").rglob("*.*") if path.is_file()}
    create_module._write_frames(write_sweeps, tasks("b"), 2, False)
    assert {path: path.stat().st_mtime_ns for path in times} == times
    assert digest(tmp_path / "a") == digest(tmp_path / "b")
    assert len(list((tmp_path / "a" / "sweeps" / "CAM_BACK").iterdir())) == 3 * 2
    assert len(list((tmp_path / "a" / "sweeps" / "LIDAR_TOP").iterdir())) == 3 * 9


def test_wrong_numbers_and_layouts_are_refused(tmp_path: Path, sweep_world: Path):
    for number in (-1, 12):
        with pytest.raises(ConfigError, match=r"(?s)camera sweeps.*0 to 11"):
            create_world(tmp_path / "new", "tiny", sweeps=number)
    with pytest.raises(ConfigError, match=r"sweeps between key frames belong to the layout of nuScenes"):
        create_world(tmp_path / "new", "tiny", sweeps=5, layout="waymo")
    with pytest.raises(ConfigError, match="other parameters"):
        create_world(sweep_world, "tiny")
    assert not (tmp_path / "new").exists()
