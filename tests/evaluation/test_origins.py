"""Origins of the evaluation rays on drives that can be computed by hand."""

from __future__ import annotations

import numpy as np
import pytest

from mmdet3d_plugin.errors import DataError
from mmdet3d_plugin.evaluation import lidar_origins, origins
from mmdet3d_plugin.evaluation.origins import scene_origins


def drive(positions, yaw=0.0):
    poses = np.tile(np.eye(4), (len(positions), 1, 1))
    c, s = np.cos(yaw), np.sin(yaw)
    poses[:, :2, :2] = [[c, -s], [s, c]]
    poses[:, :2, 3] = positions
    return poses


def mounts(count, offset=(0.9, 0.0, 1.8)):
    mount = np.tile(np.eye(4), (count, 1, 1))
    mount[:, :3, :3] = [[0, 1, 0], [-1, 0, 0], [0, 0, 1]]  # the lidar of nuScenes looks to the right of the car
    mount[:, :3, 3] = offset
    return mount


def test_straight_drive_far_from_the_origin_of_the_map():
    positions = np.array([[1500.0 + 10 * i, 800.0] for i in range(5)])
    origins = lidar_origins(drive(positions), mounts(5), 2)
    np.testing.assert_allclose(origins[:, 0], [-19.1, -9.1, 0.9, 10.9, 20.9], atol=1e-5)
    np.testing.assert_allclose(origins[:, 1:], [[0.0, 1.8]] * 5, atol=1e-5)
    assert np.array_equal(origins[2], [0.9, 0.0, 1.8])


def test_the_frame_turns_with_the_reference():
    poses = drive([[0.0, 0.0], [10.0, 0.0]], yaw=np.pi / 2)  # drives sideways: ahead on the map is to its right
    np.testing.assert_allclose(lidar_origins(poses, mounts(2), 0)[1], [0.9, -10.0, 1.8], atol=1e-6)


def test_far_positions_are_dropped_and_height_is_not_tested():
    poses = drive([[0.0, 0.0], [38.2, 0.0], [38.0, 0.0], [0.0, -39.5], [5.0, 0.0]])
    poses[4, 2, 3] = 100.0
    assert lidar_origins(poses, mounts(5), 0)[:, 0].round(3).tolist() == [0.9, 38.9, 5.9]


def test_at_most_eight_evenly_spaced():
    poses = drive([[float(i), 0.0] for i in range(15)])
    origins = lidar_origins(poses, mounts(15, (0.0, 0.0, 1.8)), 5)
    assert (origins[:, 0].round(3) + 5).tolist() == [0, 2, 4, 6, 8, 10, 12, 14]  # the reference itself is not there


def test_bad_poses_are_named():
    with pytest.raises(DataError, match="poses of a scene"):
        lidar_origins(np.eye(4), mounts(1), 0)
    with pytest.raises(DataError, match="reference frame"):
        lidar_origins(drive([[0.0, 0.0]]), mounts(1), 1)
    with pytest.raises(DataError, match="not finite"):
        lidar_origins(drive([[0.0, np.nan]]), mounts(1), 0)


def test_origins_of_a_scene_are_computed_once_for_the_same_poses(monkeypatch):
    computed = []
    monkeypatch.setattr(
        origins, "lidar_origins", lambda *arguments: computed.append(arguments[2]) or lidar_origins(*arguments)
    )
    poses = drive([[7.0 + 3 * i, 1.0] for i in range(4)])
    for reference in (0, 3, 0):
        np.testing.assert_array_equal(
            scene_origins(poses.copy(), mounts(4))[reference], lidar_origins(poses, mounts(4), reference)
        )
    assert computed == [0, 1, 2, 3]
    poses[2, 0, 3] += 1e-9  # another drive, whatever the array
    scene_origins(poses, mounts(4))
    assert len(computed) == 8


def test_few_scenes_are_kept():
    for x in range(20):
        scene_origins(drive([[float(x), 0.0]]), mounts(1))
    assert len(origins._kept) == origins._SCENES_KEPT
