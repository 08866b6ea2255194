"""Occ3D-Waymo from its pickles: five cameras of two sizes that meet the labels, and errors at the door."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmdet3d_plugin.datasets import WaymoOccDataset
from mmdet3d_plugin.datasets.labels import Occ3DWaymoLabels
from mmdet3d_plugin.datasets.waymo_frames import WaymoFrames
from mmdet3d_plugin.datasets.waymo_index import CAMERAS, _optical, load_waymo_index
from mmdet3d_plugin.engine.image_agreement import ColourVariance, label_image
from mmdet3d_plugin.engine.validate import seen_images
from mmdet3d_plugin.errors import ConfigError, DataError
from mmdet3d_plugin.geometry.transforms import apply, inverse, rotation_z

POSES = Path("gts") / "cam_infos.pkl"


def reader(root: Path, **changes) -> WaymoOccDataset:
    arguments = {
        "root": str(root),
        "split": "train",
        "labels": {"type": "Occ3DWaymoLabels", "grid": Occ3DWaymoLabels.native_grid},
        "image": {"type": "ImagePipeline", "size": (64, 96)},
        "mode": "evaluate",
    }
    return WaymoOccDataset(**(arguments | changes))


@pytest.fixture
def broken_world(waymo_world, tmp_path) -> Path:
    return Path(shutil.copytree(waymo_world, tmp_path / "waymo"))


def change_poses(root: Path, change) -> None:
    load_waymo_index.cache_clear()
    poses = pickle.loads((root / POSES).read_bytes())
    change(poses)
    (root / POSES).write_bytes(pickle.dumps(poses))


def test_frames_streams_and_names(waymo_world):
    dataset = reader(waymo_world, sequences_split=2)
    assert dataset.tokens.tolist() == [f"000{s}00{f}" for s in range(2) for f in range(4)]
    assert [s.tolist() for s in dataset.sequences] == [[0, 1], [2, 3], [4, 5], [6, 7]]
    assert dataset.synthetic
    sample = dataset[5]
    assert sample.token == "0001001"
    assert sample.frame == "ego_lidar_time"
    assert dataset[5].time - dataset[4].time == pytest.approx(0.1, abs=1e-6)
    assert set(np.unique(sample.occupancy)) <= set(range(16))
    assert sample.mask_camera.any()
    assert reader(waymo_world, split="val").tokens[0] == "1000000"


def test_side_images_stand_on_the_bottom_below_black_rows(waymo_world):
    dataset = reader(waymo_world)
    assert dataset.image_sizes(0).tolist() == [[192, 128], [192, 128], [192, 89], [192, 128], [192, 89]]
    images = dataset[0].images
    black = 64 - 44
    for camera, name in enumerate(CAMERAS):
        rows = images[camera].max(axis=(0, 2)) == 0
        assert rows[: black - 1].all() == name.startswith("SIDE")
        assert not rows[black + 1 :].any()


def lidar_agreement(dataset: WaymoOccDataset) -> float:
    """Share of the lidar returns inside the grid that lie in occupied voxels."""
    hits = []
    for index in range(0, len(dataset), 3):
        occupied = dataset[index].occupancy != dataset.label_space.free
        points = dataset.points(index)[:, :3].astype(np.float64)
        voxel = np.floor((points - dataset.grid.lower) / np.array(dataset.grid.voxel_size)).astype(int)
        x, y, z = voxel[((voxel >= 0) & (voxel < dataset.grid.shape)).all(axis=1)].T
        hits.append(occupied[z, y, x])
    return float(np.concatenate(hits).mean())


def test_sweeps_are_in_the_frame_of_the_labels(waymo_world):
    assert lidar_agreement(reader(waymo_world)) > 0.95


def fit(dataset: WaymoOccDataset, camera: int, image: int) -> float:
    """How much of the colours of `image` the labels explain that `camera` sees."""
    score = ColourVariance()
    for index in range(len(dataset)):
        views = seen_images(dataset, index)
        labels = dataset.labels.load(dataset.root, dataset.label_name(index), training=False).occupancy
        height, width = views[camera].image.shape[:2]
        classes = label_image(labels, dataset.label_space, dataset.grid, views[camera])
        score.add(classes, cv2.resize(views[image].image, (width, height)))
    return score.explained()


def test_third_and_fourth_entry_of_the_pose_lists_belong_to_the_other_folders(waymo_world):
    """The camera order trap (spec/data/waymo section 3): poses and images of SIDE_LEFT and FRONT_RIGHT fit together."""
    dataset = reader(waymo_world)
    left, right = CAMERAS.index("SIDE_LEFT"), CAMERAS.index("FRONT_RIGHT")
    assert [f.parent.name for f in dataset.image_files(0)] == [f"image_{n}" for n in (0, 1, 3, 2, 4)]
    for camera, other in ((left, right), (right, left)):
        assert fit(dataset, camera, camera) > fit(dataset, camera, other) + 0.05
    forward = dataset.volume_from_cam(0)[:, :3, 2]  # directions of view
    assert forward[left, 1] > 0.9
    assert forward[right, 1] < -0.5
    assert forward[right, 0] > 0.5


def test_depth_maps_of_five_cameras(waymo_world):
    depth = {"type": "DepthMaps", "depth_range": (1.0, 58.0)}
    sample = reader(waymo_world, mode="train", depth=depth)[0]
    assert sample.depth.shape == (5, 64, 96)
    assert all(((d > 0).sum() > 50) for d in sample.depth)
    assert (sample.occupancy == 255).any()


def test_motion_of_both_profiles(waymo_world):
    corrected, published = reader(waymo_world), reader(waymo_world, motion="side_right_to_front")
    index = load_waymo_index(waymo_world / "gts", "train")
    pose = index.global_from_vehicle
    assert pose.dtype == np.float64
    np.testing.assert_array_equal(corrected.prev_from_ego(4), np.eye(4))
    np.testing.assert_array_equal(corrected.prev_from_ego(5), inverse(pose[4, 0]) @ pose[5, 0])
    np.testing.assert_array_equal(published.prev_from_ego(5), inverse(pose[4, 4]) @ pose[5, 0])
    apart = np.linalg.norm(corrected.prev_from_ego(5)[:3, 3] - published.prev_from_ego(5)[:3, 3])
    assert apart > 0.01  # the cameras of the synthetic world fire at different times


def test_rays_start_where_offline_scoring_starts_them(waymo_world):
    dataset = reader(waymo_world)
    frames = WaymoFrames.of_split(waymo_world, dataset.labels, "train")
    np.testing.assert_array_equal(dataset[6].ray_origins, frames.ray_origins(6))


def test_intrinsics_of_sensors_with_other_axes(tmp_path):
    """Only intrinsics @ inv(sensor2ego) is certain: the turn of the axes moves into the pose."""
    k, sensor = np.eye(4), rotation_z(0.3)
    k[:3, :3] = [[900.0, 0, 480], [0, 905, 320], [0, 0, 1]]
    axes = np.eye(4)
    axes[:3, :3] = [[0, -1, 0], [0, 0, -1], [1, 0, 0]]  # optical from forward, left, up
    sensor[:3, 3] = (1.5, 0.2, 2.0)
    intrinsics, poses = _optical((k @ axes)[None, None], sensor[None, None], tmp_path)
    np.testing.assert_allclose(intrinsics[0, 0], k[:3, :3], atol=1e-9)
    points = np.array([[12.0, 1.0, 1.0], [20.0, 9.0, 2.5]])
    expected = apply(k @ axes @ np.linalg.inv(sensor), points)
    np.testing.assert_allclose(apply(inverse(poses[0, 0]), points) @ intrinsics[0, 0].T, expected, atol=1e-9)


def test_png_images(broken_world):
    for file in (broken_world / "kitti_format/training/image_3").glob("*.jpg"):
        cv2.imwrite(str(file.with_suffix(".png")), cv2.imread(str(file)))
        file.unlink()
    load_waymo_index.cache_clear()
    dataset = reader(broken_world)
    assert dataset.image_files(0)[2].suffix == ".png"
    assert dataset[0].images[2].any()


def test_labels_in_the_folder_of_the_download(broken_world):
    (broken_world / "gts/voxel04").mkdir()
    for folder in ("training", "validation"):
        (broken_world / "gts" / folder).rename(broken_world / "gts/voxel04" / folder)
    load_waymo_index.cache_clear()
    assert reader(broken_world)[0].occupancy is not None


def test_pickles_that_do_not_belong_together(broken_world):
    change_poses(broken_world, lambda poses: poses[1].pop(3))
    with pytest.raises(DataError, match=r"(?s)same frames of scene 001.*4 and 3 frames"):
        reader(broken_world)


def test_a_lost_camera(broken_world):
    change_poses(broken_world, lambda poses: poses[0][2].pop())
    with pytest.raises(DataError, match=r"(?s)scene 000, frame 002.*other cameras"):
        reader(broken_world)


def test_a_pickle_that_wants_to_run_something(broken_world):
    load_waymo_index.cache_clear()
    (broken_world / POSES).write_bytes(pickle.dumps(shutil.rmtree))
    with pytest.raises(DataError, match=r"(?s)cam_infos.pkl.*shutil.rmtree"):
        reader(broken_world)


def test_errors_at_the_door(broken_world):
    with pytest.raises(ConfigError, match="no split 'test'"):
        reader(broken_world, split="test")
    depth = {"type": "DepthMaps", "depth_range": (1.0, 58.0), "semantics": True}
    with pytest.raises(ConfigError, match="classes of lidar points"):
        reader(broken_world, mode="train", depth=depth)
    (broken_world / "gts/training/001/002_04.npz").unlink()
    with pytest.raises(DataError, match=r"(?s)1 files missing.*001/002_04.npz"):
        reader(broken_world)
    (broken_world / POSES).unlink()
    with pytest.raises(DataError, match=r"(?s)lacks the pickles of split 'train'.*cam_infos.pkl"):
        reader(broken_world)
