"""The base class of data sets, through the worked example of an own one."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

from mmdet3d_plugin.datasets import OccDataset, collate
from mmdet3d_plugin.datasets.four_cameras import STREET, FourCameraDataset, StreetLabels
from mmdet3d_plugin.datasets.sequences import split_sequences
from mmdet3d_plugin.errors import ConfigError, DataError
from mmdet3d_plugin.geometry.transforms import inverse
from mmdet3d_plugin.structures import LabelSpace, label_space, register_label_space


def reader(root, kind=FourCameraDataset, **changes) -> OccDataset:
    arguments = {
        "root": str(root),
        "split": "train",
        "labels": {"type": "StreetLabels", "grid": StreetLabels.native_grid},
        "image": {"type": "ImagePipeline", "size": (64, 112)},
        "mode": "evaluate",
    }
    return kind(**(arguments | changes))


def test_the_example_is_short():
    lines = len(inspect.getsource(FourCameraDataset).splitlines())
    assert lines <= 60, "docs/data.md promises about 60 lines"


def test_cameras_of_unequal_sizes_and_endings(four_camera_world):
    dataset = reader(four_camera_world)
    assert dataset.image_sizes(0).tolist() == [[288, 162], [192, 144], [192, 120], [240, 135]]
    assert [file.suffix for file in dataset.image_files(0)] == [".jpg", ".jpg", ".jpg", ".png"]
    batch = collate([dataset[1], dataset[5]])
    assert batch.frames[0].images.shape == (2, 4, 3, 64, 112)
    assert batch.targets.occupancy.shape == (2, 16, 128, 128)
    assert dataset.label_space is label_space("Street") is STREET


def test_motion_previous_frame_and_streams(four_camera_world):
    dataset = reader(four_camera_world, load_adjacent=True, sequences_split=2)
    assert [s.tolist() for s in dataset.sequences] == [[0, 1], [2, 3], [4, 5], [6, 7]]
    assert [dataset.previous(i) for i in range(5)] == [0, 0, 1, 2, 4]  # of the scene, not of the stream
    np.testing.assert_array_equal(dataset.prev_from_ego(2), np.eye(4))
    motion = dataset.prev_from_ego(1)
    expected = inverse(dataset.global_from_volume(0)) @ dataset.global_from_volume(1)
    np.testing.assert_array_equal(motion, expected)
    assert 0.5 < motion[0, 3] < 8  # half a second of driving
    np.testing.assert_array_equal(dataset[1].adjacent_images, dataset[0].images)
    assert dataset[4].adjacent_from_cam[2].tolist() == np.eye(4).tolist()
    assert dataset[1].ray_origins.shape == (4, 3)


def test_training_masks_what_no_camera_sees_and_makes_depth(four_camera_world):
    dataset = reader(four_camera_world, mode="train", depth={"type": "DepthMaps", "depth_range": (1.0, 45.0)})
    sample = dataset[0]
    assert 0.1 < (sample.occupancy == 255).mean() < 1
    assert sample.depth.shape == (4, 64, 112)
    assert sample.image_semantics is None


class WithoutLidar(FourCameraDataset):
    """An own data set with cameras only."""

    points = OccDataset.points
    lidar_position = None


def test_a_data_set_without_lidar(four_camera_world):
    sample = reader(four_camera_world, WithoutLidar)[0]
    assert sample.ray_origins is None
    depth = {"type": "DepthMaps", "depth_range": (1.0, 45.0)}
    with pytest.raises(ConfigError, match=r"(?s)WithoutLidar has no lidar points.*depth=None"):
        reader(four_camera_world, WithoutLidar, depth=depth)
    with pytest.raises(ConfigError, match="FourCameraDataset has no classes of lidar points"):
        reader(four_camera_world, mode="train", depth=depth | {"semantics": True})


def test_errors_at_the_door(four_camera_world, tmp_path):
    with pytest.raises(ConfigError, match=r"FourCameraDataset\.mode"):
        reader(four_camera_world, mode="test")
    with pytest.raises(ConfigError, match=r"(?s)no split 'vall'.*'val'"):
        reader(four_camera_world, split="vall")
    with pytest.raises(DataError, match=r"frames\.json cannot be read"):
        reader(tmp_path)


def test_scenes_must_not_interleave():
    with pytest.raises(DataError, match="scene a is interrupted"):
        split_sequences(np.array(["a", "b", "a"]), 1)
    assert split_sequences(np.array([]), 1).members == ()
    single = split_sequences(np.array(["a", "a", "b"]), None)
    assert [frames.tolist() for frames in single.members] == [[0], [1], [2]]
    assert single.starts.all()
    assert single.sequence.tolist() == [0, 1, 2]


def test_label_spaces_have_one_meaning():
    assert register_label_space(STREET) is STREET
    other = LabelSpace("Street", ("free",), ((0, 0, 0),), 0, ())
    with pytest.raises(ConfigError, match="another label space is called 'Street'"):
        register_label_space(other)
