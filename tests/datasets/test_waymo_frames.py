"""Frames of Occ3D-Waymo by their label files alone."""

from __future__ import annotations

import numpy as np
import pytest

from mmdet3d_plugin.datasets.labels import label_set
from mmdet3d_plugin.datasets.waymo_frames import LIDAR_POSITION, WaymoFrames
from mmdet3d_plugin.errors import ConfigError, DataError


def drive(folder, scene, count, start):
    """Pose files of a straight drive, 10 m a frame; the labels themselves are not read here."""
    for i in range(count):
        pose = np.eye(4)
        pose[0, 3] = start + 10.0 * i
        path = folder / scene / f"{i:03d}_04.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, ego2global=pose)


@pytest.fixture
def frames(tmp_path):
    drive(tmp_path / "gts" / "validation", "003", 2, 0.0)
    drive(tmp_path / "gts" / "validation", "011", 5, 4.1e6)
    drive(tmp_path / "gts" / "training", "000", 1, 0.0)
    (tmp_path / "gts" / "validation" / "011" / "000.npz").touch()  # the fine labels, not used
    return WaymoFrames.of_split(tmp_path, label_set("occ3d-waymo"), "val")


def test_frames_by_scene_and_time(frames):
    assert frames.scene_names.tolist() == ["1003", "1011"]
    assert frames.token.tolist() == ["1003000", "1003001", *(f"1011{i:03d}" for i in range(5))]
    assert frames.frames_of(1).tolist() == [2, 3, 4, 5, 6]
    assert frames.labels.paths(frames.root, frames.name(3))[0].is_file()


def test_rays_start_where_the_lidar_was_far_from_the_origin_of_the_map(frames):
    x, y, z = LIDAR_POSITION
    expected = [[x + 10.0 * i, y, z] for i in range(-2, 3)]
    np.testing.assert_allclose(frames.ray_origins(4), expected, atol=1e-5)


def test_errors_name_the_split_and_the_folder(frames, tmp_path):
    with pytest.raises(ConfigError, match="no split 'test'"):
        WaymoFrames.of_split(tmp_path, label_set("occ3d-waymo"), "test")
    with pytest.raises(DataError, match="gts/training holds no Occ3D-Waymo labels"):
        WaymoFrames.of_split(tmp_path / "elsewhere", label_set("occ3d-waymo"), "train")
