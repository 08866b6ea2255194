"""Files of the world in the layouts beside nuScenes (spec/data/waymo sections 1 to 3, docs/data.md)."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
from PIL import Image

from mmdet3d_plugin.datasets.synthetic import create_world
from mmdet3d_plugin.errors import ConfigError

TOKEN = "0001002"


def test_files_of_waymo(waymo_world):
    frames = waymo_world / "kitti_format" / "training"
    assert sorted(p.name for p in frames.iterdir()) == [*(f"image_{n}" for n in range(5)), "velodyne"]
    assert {len(list(p.iterdir())) for p in frames.iterdir()} == {12}
    sizes = [Image.open(frames / f"image_{n}" / f"{TOKEN}.jpg").size for n in range(5)]
    assert sizes == [(192, 128)] * 3 + [(192, 89)] * 2
    points = np.fromfile(frames / "velodyne" / f"{TOKEN}.bin", "<f4").reshape(-1, 6)
    assert len(points) > 5000
    assert np.median(points[:, 2]) < 1.0  # frame of the vehicle: the road is at z = 0
    assert 0 <= points[:, 3].min() <= points[:, 3].max() <= 1


def test_labels_of_waymo(waymo_world):
    with np.load(waymo_world / "gts" / "training" / "001" / "002_04.npz") as file:
        arrays = dict(file)
    assert set(arrays) == {"voxel_label", "origin_voxel_state", "final_voxel_state", "infov", "ego2global"}
    labels = arrays["voxel_label"]
    assert labels.dtype == np.uint8
    assert set(np.unique(labels)) <= {*range(15), 23}
    assert 0.9 < (labels == 23).mean() < 1
    assert {1, 13, 14} <= set(np.unique(labels))  # vehicle, road, walkable
    seen, in_view = arrays["final_voxel_state"].astype(bool), arrays["infov"]
    assert 0.02 < seen.mean() < in_view.mean() < 0.9
    assert (seen & ~in_view).sum() < 0.02 * seen.sum()  # voxels at the border of an image
    x = slice(0, 90)
    assert not in_view[x, 95:105].any()  # nobody looks back


def test_pickles_of_waymo(waymo_world):
    poses = pickle.loads((waymo_world / "gts" / "cam_infos.pkl").read_bytes())
    assert sorted(poses) == [0, 1]
    entries = poses[1][2]
    forward = [(e["ego2global"] @ e["sensor2ego"])[:3, 2] @ entries[0]["ego2global"][:3, :3] for e in entries]
    assert [round(float(np.degrees(np.arctan2(f[1], f[0]))) / 45) for f in forward] == [0, 1, 2, -1, -2]
    infos = pickle.loads((waymo_world / "gts" / "waymo_infos_val.pkl").read_bytes())
    assert [info["image"]["image_idx"] for info in infos] == [1000000 + i for i in range(4)]


def test_the_example_of_an_own_data_set(four_camera_world):
    table = json.loads((four_camera_world / "frames.json").read_text())
    assert [frame["split"] for frame in table] == ["train"] * 8 + ["val"] * 4
    for camera in table[5]["cameras"].values():
        assert Image.open(four_camera_world / camera["file"]).size == tuple(camera["size"])
    with np.load(four_camera_world / "labels" / "drive-01" / "drive-01-001.npz") as file:
        assert file["labels"].shape == (128, 128, 16)
        assert set(np.unique(file["labels"])) <= set(range(8))


def test_layouts_are_not_mixed(waymo_world, tmp_path):
    assert create_world(waymo_world, "tiny", layout="waymo", image_scale=0.1) == waymo_world  # finished: nothing to do
    with pytest.raises(ConfigError, match="other parameters"):
        create_world(waymo_world, "tiny", layout="four-cameras", image_scale=0.1)
    with pytest.raises(ConfigError, match="OpenOccupancy"):
        create_world(tmp_path / "new", "tiny", layout="waymo", openoccupancy=True)
