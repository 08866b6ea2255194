"""`occstudio doctor data` on the layout of Occ3D-Waymo."""

from __future__ import annotations

import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from doctor_report import assert_road_is_below, problems, texts

from mmdet3d_plugin.datasets.files import read_points
from mmdet3d_plugin.datasets.index import CAMERAS, load_index
from mmdet3d_plugin.datasets.labels import label_set
from mmdet3d_plugin.engine.data_doctor import examine_data
from mmdet3d_plugin.errors import ConfigError
from mmdet3d_plugin.geometry.transforms import apply

VERSION = "v1.0-mini"
# Order of the pose lists of Occ3D-Waymo, filled with cameras of the tiny world; and the numbers of their image folders.
WAYMO_CAMERAS = ("CAM_FRONT", "CAM_FRONT_LEFT", "CAM_BACK_LEFT", "CAM_FRONT_RIGHT", "CAM_BACK_RIGHT")
IMAGE_FOLDERS = (0, 1, 3, 2, 4)


@pytest.fixture
def waymo(tiny_world, tmp_path) -> Path:
    """Labels, sweeps and images of a scene of the tiny world in the layout of Occ3D-Waymo."""
    index, root = load_index(tiny_world, VERSION), tmp_path / "waymo"
    rows, infos, poses = index.frames_of(0).tolist(), [], []
    for folder in ("velodyne", *(f"image_{k}" for k in IMAGE_FOLDERS)):
        (root / "kitti_format/training" / folder).mkdir(parents=True)
    (root / "gts/training/000").mkdir(parents=True)
    for row in rows:
        (path,) = label_set("occ3d").paths(tiny_world, index.name(row))
        with np.load(path) as archive:
            labels = archive["semantics"]
        voxels = np.where(labels == 17, 23, np.where(labels == 11, 13, np.minimum(labels, 10))).astype(np.uint8)
        states = dict.fromkeys(("origin_voxel_state", "final_voxel_state", "infov"), np.ones_like(voxels))
        target = root / f"gts/training/000/{row:03d}_04.npz"
        np.savez(target, voxel_label=voxels, ego2global=index.global_from_ego[row], **states)
        points = apply(index.ego_from_lidar[row], read_points(tiny_world / str(index.lidar_file[row]))[:, :3])
        frames = root / "kitti_format/training"
        np.pad(points, ((0, 0), (0, 3))).astype("<f4").tofile(frames / f"velodyne/0000{row:03d}.bin")
        cameras = []
        for name, folder in zip(WAYMO_CAMERAS, IMAGE_FOLDERS):
            k = CAMERAS.index(name)
            os.link(tiny_world / str(index.image_file[row, k]), frames / f"image_{folder}/0000{row:03d}.jpg")
            intrinsics = np.eye(4)
            intrinsics[:3, :3] = index.intrinsics[row, k]
            pose = {"sensor2ego": index.camera_ego_from_cam[row, k], "ego2global": index.global_from_ego[row]}
            cameras.append(pose | {"intrinsics": intrinsics})
        poses.append(cameras)
        infos.append({"image": {"image_idx": row, "image_path": f"training/image_0/0000{row:03d}.png"}})
    (root / "gts/waymo_infos_train.pkl").write_bytes(pickle.dumps(infos))
    (root / "gts/cam_infos.pkl").write_bytes(pickle.dumps([poses]))
    return root


def test_waymo(waymo, tmp_path):
    findings = examine_data(waymo, out=tmp_path / "out")
    assert not problems(findings)
    assert "train: 1 scenes, 4 label files" in texts(findings, "occ3d-waymo")
    assert "voxel_label [200, 200, 16] uint8 0 to 23" in texts(findings, "occ3d-waymo")
    assert "as documented 9" in texts(findings, "occ3d-waymo")
    assert "train: all 4 files are there" in texts(findings, "velodyne")
    assert "val: not there" in texts(findings, "split")
    assert_road_is_below(tmp_path / "out" / "train_occ3d-waymo.png")


def test_broken_waymo(waymo):
    for path in sorted((waymo / "gts/training/000").iterdir()):
        with np.load(path) as archive:
            arrays = dict(archive)
        np.savez(path, **(arrays | {"voxel_label": arrays["voxel_label"].swapaxes(0, 1)}))
    (waymo / "gts/training/000/001_04.npz").unlink()
    (waymo / "kitti_format/training/velodyne/0000002.bin").unlink()
    (waymo / "gts/cam_infos.pkl").unlink()
    findings = examine_data(waymo, out=waymo / "out")
    found = problems(findings)
    assert "not drawn without waymo_infos_train.pkl and cam_infos.pkl" in texts(findings, "picture")
    assert "it is x and y exchanged\n" in found
    assert "scene 000 are missing, first 001_04.npz" in found
    assert "velodyne, first 0000002" in found
    assert "has no tables" in problems(examine_data(waymo, ["occ3d"]))
    for labels, version in ((["occ3d", "occ3d-waymo"], None), (["occ3d-waymo"], VERSION)):
        with pytest.raises(ConfigError, match="ask for it alone"):
            examine_data(waymo, labels, version)
    shutil.rmtree(waymo / "gts")
    assert "get the release Occ3D-Waymo" in problems(examine_data(waymo, ["occ3d-waymo"]))
