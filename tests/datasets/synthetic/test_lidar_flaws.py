"""Range noise and returns of the own car: off by default, and as large as asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mmdet3d_plugin.datasets.synthetic import LidarFlaws, World, create_world
from mmdet3d_plugin.datasets.synthetic.catalog import LIDARSEG_ID
from mmdet3d_plugin.datasets.synthetic.keyframe import KeyFrameTask, lidarseg_file, write_keyframe
from mmdet3d_plugin.datasets.synthetic.scene import Sweep
from mmdet3d_plugin.datasets.synthetic.sensors import OWN_RANGE, ROOF
from mmdet3d_plugin.errors import ConfigError

EGO = LIDARSEG_ID["vehicle.ego"]


@pytest.fixture(scope="module")
def world() -> World:
    return World(0, "scene-0061", 1.5, 0.06)


def scan(world: World, **flaws) -> Sweep:
    return world.scan(0.5, world.ego_pose(0.5) @ world.rig.ego_from_lidar, noise_key=1, flaws=LidarFlaws(**flaws))


def test_range_noise_moves_returns_along_their_beams(world):
    exact, noisy = scan(world), scan(world, range_noise=0.01)
    assert np.array_equal(exact.class_id, noisy.class_id)
    before, after = (sweep.points[:, :3].astype(np.float64) for sweep in (exact, noisy))
    distances = np.linalg.norm(before, axis=1), np.linalg.norm(after, axis=1)
    difference = distances[1] - distances[0]
    assert abs(difference.mean()) < 3e-4
    assert 0.0097 < difference.std() < 0.0103
    np.testing.assert_allclose(after / distances[1][:, None], before / distances[0][:, None], atol=1e-5)
    assert np.array_equal(noisy.points, scan(world, range_noise=0.01).points)


def test_the_own_car_hides_what_is_below_its_roof(world):
    exact, own = scan(world), scan(world, own_car=True)
    assert EGO not in exact.class_id
    roof = own.points[own.class_id == EGO, :3].astype(np.float64)
    assert len(roof) > 500
    assert len(own.points) >= len(exact.points)
    assert np.linalg.norm(roof, axis=1).max() < OWN_RANGE
    pose = world.rig.ego_from_lidar
    in_ego = roof @ pose[:3, :3].T + pose[:3, 3]
    np.testing.assert_allclose(in_ego[:, 2], ROOF[2], atol=1e-5)
    assert (in_ego[:, :2] > ROOF[0]).all()
    assert (in_ego[:, :2] < ROOF[1]).all()
    kept = {tuple(row) for row in exact.points}
    assert all(tuple(row) in kept for row in own.points[own.class_id != EGO])


def test_they_reach_the_files(tmp_path: Path, world):
    flaws = LidarFlaws(0.02, own_car=True)
    task = KeyFrameTask(tmp_path, "v1.0-mini", 0, "scene-0061", 1, 4, 0.06, False, flaws)
    write_keyframe(task)
    (sweep,) = (tmp_path / "samples" / "LIDAR_TOP").iterdir()
    expected = scan(world, range_noise=0.02, own_car=True)
    assert np.array_equal(np.fromfile(sweep, "<f4").reshape(-1, 5), expected.points)
    (segments,) = (tmp_path / Path(lidarseg_file("v1.0-mini", "x")).parent).iterdir()
    assert np.array_equal(np.fromfile(segments, np.uint8), expected.class_id)


def test_wrong_values_and_layouts_are_refused(tmp_path: Path, tiny_world: Path):
    with pytest.raises(ConfigError, match="range noise"):
        LidarFlaws(-0.01)
    with pytest.raises(ConfigError, match="lidar flaws belong to the layout of nuScenes"):
        create_world(tmp_path / "new", "tiny", layout="waymo", flaws=LidarFlaws(0.01))
    with pytest.raises(ConfigError, match=r"(?s)other parameters.*range_noise"):
        create_world(tiny_world, "tiny", flaws=LidarFlaws(0.01))
