from __future__ import annotations

import inspect
from pathlib import Path

import handmade
import handmade_sweeps
import numpy as np
import pytest
from PIL import Image

from mmdet3d_plugin.config import load_config
from mmdet3d_plugin.datasets import NuScenesOccDataset, collate
from mmdet3d_plugin.registry import DATASETS, MODELS, TRANSFORMS

BASES = Path(__file__).resolve().parents[2] / "configs" / "_base_"


def write_config(folder: Path, dataset: str, profile: str) -> Path:
    bases = [str(BASES / "datasets" / f"{dataset}.py"), str(BASES / "profiles" / f"{profile}.py")]
    path = folder / f"{dataset}_{profile}.py"
    path.write_text(f"_base_ = {bases!r}\n")
    return path


@pytest.mark.parametrize("profile", ["published", "corrected"])
@pytest.mark.parametrize("dataset", ["occ3d_nuscenes", "synthetic"])
def test_bases_build_with_both_profiles(world, tmp_path, dataset, profile):
    cfg = load_config(write_config(tmp_path, dataset, profile))
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        arguments = loader.dataset.to_dict() | {"root": str(world), "version": handmade.VERSION}
        built = DATASETS.build(arguments)
        published = profile == "published"
        assert built.frame == ("ego_cam_front_time" if published else "ego_lidar_time")
        assert built.image.resampling == ("pil" if published else "warp")
        assert built.image.pixel_center is not published
        training = loader is cfg.train_dataloader
        assert built.mode == ("train" if training else "evaluate")
        sample = built[0]
        assert sample.images.shape == (6, 3, *cfg.image_size)
        assert (sample.depth is not None) is training
        assert (sample.ray_origins is None) is training
        assert sample.lidar_depth is None


@pytest.mark.parametrize("profile", ["published", "corrected"])
@pytest.mark.parametrize("dataset", ["occ3d_nuscenes_history", "synthetic_history"])
def test_bases_with_past_images_build_with_both_profiles(broken_world, tmp_path, dataset, profile):
    root = handmade_sweeps.add(broken_world)
    cfg = load_config(write_config(tmp_path, dataset, profile))
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        built = DATASETS.build(loader.dataset.to_dict() | {"root": str(root), "version": handmade.VERSION})
        assert built.history.empty == ("repeat" if profile == "published" else "error")
        assert built.frame == "ego_lidar_time"
        frames = 7 if dataset == "occ3d_nuscenes_history" else 3
        sample = built[1]
        assert sample.past_images.shape == (frames, 6, 3, *cfg.image_size)
        assert sample.depth is None
        assert np.array_equal(sample.crop_from_pixel[0], sample.crop_from_pixel[5])  # one draw for all cameras


def test_lidar_depth_reaches_the_frame_in_training_and_evaluation(world, tmp_path):
    cfg = load_config(write_config(tmp_path, "occ3d_nuscenes_stereo_lidar", "published"))
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        dataset = DATASETS.build(loader.dataset.to_dict() | {"root": str(world), "version": handmade.VERSION})
        (frame,) = collate([dataset[0]]).frames
        assert frame.adjacent is not None
        assert frame.lidar_depth.shape == (1, 6, *cfg.image_size)
        returns = frame.lidar_depth[frame.lidar_depth > 0]
        assert len(returns) > 0
        assert returns.min() >= 1.0
        assert returns.max() < 45.0


@pytest.mark.parametrize("profile", ["published", "corrected"])
def test_waymo_base_builds_with_both_profiles(waymo_world, tmp_path, profile):
    cfg = load_config(write_config(tmp_path, "occ3d_waymo", profile))
    for loader in (cfg.train_dataloader, cfg.test_dataloader):
        built = DATASETS.build(loader.dataset.to_dict() | {"root": str(waymo_world)})
        assert built.motion == ("side_right_to_front" if profile == "published" else "front")
        assert built.label_space.name == cfg.label_space
        sample = built[0]
        assert sample.images.shape == (5, 3, 640, 960)
        assert (sample.depth is not None) is (loader is cfg.train_dataloader)


def test_every_entry_of_the_profile_is_an_argument_of_its_class(tmp_path):
    cfg = load_config(write_config(tmp_path, "synthetic", "published"))
    for name, arguments in cfg.profile.arguments.items():
        kind = next(filter(None, (registry.get(name) for registry in (DATASETS, TRANSFORMS, MODELS))))
        assert set(arguments) <= set(inspect.signature(kind.__init__).parameters), name


def test_published_input_is_bit_equal_to_the_pillow_chain(world):
    """Resize (bicubic), crop: what the published pipeline feeds at test time, step by step."""
    image = {"type": "ImagePipeline", "size": (32, 88), "resampling": "pil", "pixel_center": False}
    dataset = NuScenesOccDataset(**handmade.config(world, image=image, mode="evaluate"))
    sample = dataset[2]
    file = Image.open(world / str(dataset.index.image_file[2, 4]))
    expected = file.resize((88, int(90 * 88 / 160)), Image.Resampling.BICUBIC).crop((0, 17, 88, 49))
    np.testing.assert_array_equal(sample.images[4], np.asarray(expected).transpose(2, 0, 1))
    np.testing.assert_allclose(sample.crop_from_pixel[4], [[0.55, 0, 0], [0, 0.55, -17], [0, 0, 1]])
