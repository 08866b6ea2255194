"""What a user reads when the data set is not what it should be: file, token, value, way out."""

from __future__ import annotations

import shutil

import cv2
import handmade
import numpy as np
import pytest

from mmdet3d_plugin.datasets import NuScenesOccDataset
from mmdet3d_plugin.errors import ConfigError, DataError
from mmdet3d_plugin.registry import DATASETS

LABEL = "gts/scene-0061/sample0_1/labels.npz"
IMAGE = "samples/CAM_BACK/log__CAM_BACK__01.jpg"
SWEEP = "samples/LIDAR_TOP/log__LIDAR_TOP__01.pcd.bin"
CLASSES = "lidarseg/v1.0-mini/data_sample0_1_LIDAR_TOP_lidarseg.bin"


def truncate(path, share: float = 0.5) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])


def test_missing_root(tmp_path):
    with pytest.raises(DataError, match=r"(?s)data set folder nowhere/nuscenes does not exist.*do this"):
        NuScenesOccDataset(**handmade.config("nowhere/nuscenes"))


def test_unknown_version(world):
    with pytest.raises(DataError, match=r"(?s)no version 'v1.0-mimi'.*did you mean 'v1.0-mini'"):
        NuScenesOccDataset(**handmade.config(world, version="v1.0-mimi"))


def test_missing_table(broken_world):
    (broken_world / handmade.VERSION / "ego_pose.json").unlink()
    with pytest.raises(DataError, match=r"ego_pose\.json does not exist"):
        NuScenesOccDataset(**handmade.config(broken_world))


def test_missing_label_folder(broken_world):
    shutil.rmtree(broken_world / "gts")
    with pytest.raises(DataError, match=r"(?s)label folder .*gts does not exist.*Occ3D-nuScenes"):
        NuScenesOccDataset(**handmade.config(broken_world))


def test_partial_labels_are_counted(broken_world):
    (broken_world / LABEL).unlink()
    shutil.rmtree(broken_world / "gts/scene-0061/sample0_3")
    with pytest.raises(DataError, match=r"(?s)incomplete.*2 files missing, first .*sample0_1/labels\.npz"):
        NuScenesOccDataset(**handmade.config(broken_world))


def test_grid_of_the_config_must_be_that_of_the_labels(world):
    grid = handmade.GRID | {"shape": (100, 100, 8)}
    with pytest.raises(ConfigError, match="does not match"):
        NuScenesOccDataset(**handmade.config(world, labels={"type": "Occ3DLabels", "grid": grid}))


def test_misspelt_keys_name_the_nearest(world):
    with pytest.raises(ConfigError, match=r"(?s)takes no argument 'sequence_split'.*sequences_split"):
        DATASETS.build({"type": "NuScenesOccDataset", **handmade.config(world), "sequence_split": 2})
    labels = {"type": "Occ3DLabels", "grid": handmade.GRID, "maks": "none"}
    with pytest.raises(ConfigError, match=r"did you mean 'mask'"):
        NuScenesOccDataset(**handmade.config(world, labels=labels))
    with pytest.raises(ConfigError, match="mode cannot be 'test'"):
        NuScenesOccDataset(**handmade.config(world, mode="test"))


@pytest.mark.parametrize("resampling", ["warp", "pil"])
@pytest.mark.parametrize("damage", ["truncated", "no image", "missing"])
def test_corrupt_image(broken_world, damage, resampling):
    if damage == "truncated":
        truncate(broken_world / IMAGE)
    elif damage == "no image":
        (broken_world / IMAGE).write_bytes(b"<html>not found</html>\xff\xd9")
    else:
        (broken_world / IMAGE).unlink()
    image = {"type": "ImagePipeline", "size": (32, 88), "resampling": resampling}
    dataset = NuScenesOccDataset(**handmade.config(broken_world, image=image))
    dataset[0]
    with pytest.raises(DataError, match=r"(?s)log__CAM_BACK__01\.jpg.*token sample0_1"):
        dataset[1]


def test_image_of_another_size(broken_world):
    other = next((broken_world / "samples/CAM_FRONT").iterdir())
    cv2.imwrite(str(broken_world / IMAGE), cv2.imread(str(other))[:80])
    with pytest.raises(DataError, match=r"(?s)another size.*160 x 80.*160 x 90.*token sample0_1"):
        NuScenesOccDataset(**handmade.config(broken_world))[1]


@pytest.mark.parametrize("share", [0.0, 0.1, 0.9])
def test_truncated_labels(broken_world, share):
    truncate(broken_world / LABEL, share)
    dataset = NuScenesOccDataset(**handmade.config(broken_world))
    with pytest.raises(DataError, match=r"(?s)sample0_1/labels\.npz cannot be read.*token sample0_1"):
        dataset[1]


def test_labels_without_a_mask(broken_world):
    np.savez(broken_world / LABEL, semantics=np.zeros((200, 200, 16), np.uint8))
    with pytest.raises(DataError, match=r"(?s)no array 'mask_camera'.*token sample0_1"):
        NuScenesOccDataset(**handmade.config(broken_world))[1]


def test_truncated_sweep_and_classes(broken_world):
    dataset = NuScenesOccDataset(**handmade.config(broken_world))
    truncate(broken_world / CLASSES)
    with pytest.raises(DataError, match=r"(?s)does not fit its sweep.*1000 points.*2000 points"):
        dataset[1]
    (broken_world / SWEEP).write_bytes(b"1234567")
    with pytest.raises(DataError, match=r"(?s)lidar file .* truncated.*7 bytes.*token sample0_1"):
        dataset[1]


def test_missing_lidarseg_only_matters_for_semantics(broken_world):
    (broken_world / handmade.VERSION / "lidarseg.json").write_text("[]")
    with pytest.raises(DataError, match=r"(?s)5 of 5 sweeps have no classes.*lidarseg archive"):
        NuScenesOccDataset(**handmade.config(broken_world))
    depth = {"type": "DepthMaps", "depth_range": (1.0, 45.0)}
    assert NuScenesOccDataset(**handmade.config(broken_world, depth=depth))[1].image_semantics is None
