"""Past images of a hand-made world, where every pose, time and colour is known."""

from __future__ import annotations

import json
import logging
import pickle
from pathlib import Path

import handmade
import handmade_sweeps
import numpy as np
import pytest
import torch

from mmdet3d_plugin.datasets import NuScenesHistoryDataset, NuScenesOccDataset, SampleRequest, collate
from mmdet3d_plugin.datasets.nuscenes_infos import create_infos
from mmdet3d_plugin.errors import DataError
from mmdet3d_plugin.restricted_pickle import load_pickle

PLAIN = {"type": "ImagePipeline", "size": (32, 88)}


@pytest.fixture
def sweep_root(broken_world) -> Path:
    return handmade_sweeps.add(broken_world)


def reader(root: Path, frames: int = 7, empty: str = "error", **changes) -> NuScenesHistoryDataset:
    history = {"type": "ImageHistory", "frames": frames, "empty": empty}
    changes = {"image": PLAIN, "scene": None, "depth": None, "load_adjacent": False, "history": history, **changes}
    return NuScenesHistoryDataset(**handmade.config(root, **changes))


def edit(root: Path, table: str, change) -> None:
    path = root / handmade.VERSION / f"{table}.json"
    path.write_text(json.dumps(change(json.loads(path.read_text()))))


def colours(sample) -> np.ndarray:
    """[T, N, 3] in the middle of the past images."""
    return sample.past_images[..., 20, 40].astype(int)


def test_poses_times_and_files_of_every_past_image(sweep_root):
    dataset = reader(sweep_root, frames=4, mode="train")
    for index, frame in ((3, 3), (7, 2)):  # the second scene starts at 5 and is of the validation split
        if index >= len(dataset):
            dataset = reader(sweep_root, frames=4, mode="train", split="val")
            index -= 5
        past = dataset.past(index)
        assert len(past) == 6 * frame
        poses = np.linalg.inv(dataset.global_from_volume(index)) @ np.stack([p.global_from_cam for p in past])
        for entry, image in enumerate(past):
            back = handmade.SPEED * (handmade.DELAY + handmade_sweeps.age(entry))
            np.testing.assert_allclose(poses[entry, :, :3, 3], [[1.5 - back, 0, 1.5]] * 6, atol=1e-6)
            np.testing.assert_allclose(poses[entry, :, :3, :3], dataset.volume_from_cam(index)[:, :3, :3], atol=1e-9)
            stamp = dataset.timestamps[index] - round((handmade.DELAY + handmade_sweeps.age(entry)) * 1e6)
            assert image.time.tolist() == [stamp] * 6
            assert image.complete
            kind = "samples" if entry % 6 == 5 else "sweeps"
            assert all(file.startswith(f"{kind}/{camera}/") for file, camera in zip(image.files, dataset.cameras))


def test_training_sample_of_few_images_takes_all_of_them(sweep_root):
    sample = reader(sweep_root, mode="train")[1]
    assert sample.past_images.shape == (7, 6, 3, 32, 88)
    assert sample.past_images.dtype == np.uint8
    expected = [[handmade_sweeps.colour(1, k, n) for n in range(6)] for k in range(5)]
    np.testing.assert_allclose(colours(sample)[:5], expected, atol=3)
    ages = [handmade_sweeps.age(entry) for entry in (0, 1, 2, 3, 4, 5, 5)]
    np.testing.assert_allclose(sample.image_time[None] - sample.past_time, np.tile(ages, (6, 1)).T, atol=1e-6)
    assert np.array_equal(sample.past_images[5], sample.past_images[6])  # the last one, again
    assert np.array_equal(sample.past_images[5], reader(sweep_root)[0].images)
    back = [1.5 - handmade.SPEED * (handmade.DELAY + age) for age in ages]
    np.testing.assert_allclose(sample.past_ego_from_cam[:, 0, 0, 3], back, atol=1e-5)
    assert sample.past_ego_from_cam.dtype == sample.past_pixel_from_cam.dtype == np.float32
    assert sample.past_time.dtype == sample.image_time.dtype == np.float64


def test_evaluation_takes_key_frames_and_stays_at_the_first(sweep_root):
    dataset = reader(sweep_root, mode="evaluate")
    sample = dataset[2]
    seconds = [0.5, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    np.testing.assert_allclose(sample.image_time[0] - sample.past_time[:, 0], seconds, atol=1e-6)
    assert np.array_equal(sample.past_images[0], dataset[1].images)
    assert np.array_equal(sample.past_images[6], dataset[0].images)
    assert dataset.image_cache.misses == 3 * 6  # key frames were kept
    np.testing.assert_allclose(sample.past_pixel_from_cam, np.broadcast_to(sample.pixel_from_cam, (7, 6, 3, 3)))


def test_the_first_key_frame_of_a_scene_repeats_its_own_images(sweep_root):
    for mode in ("train", "evaluate"):
        sample = reader(sweep_root, mode=mode, **({"image": PLAIN | {"flip": 0.5}} if mode == "train" else {}))[0]
        assert np.array_equal(sample.past_images, np.broadcast_to(sample.images, (7, *sample.images.shape)))
        assert np.array_equal(sample.past_ego_from_cam, np.broadcast_to(sample.ego_from_cam, (7, 6, 4, 4)))
        assert np.array_equal(sample.past_time, np.broadcast_to(sample.image_time, (7, 6)))


def test_the_past_stops_at_the_scene_and_at_the_reach(sweep_root):
    dataset = reader(sweep_root, frames=1)
    assert [len(dataset.past(i)) for i in range(5)] == [0, 6, 8, 8, 8]
    assert [len(reader(sweep_root, frames=7).past(i)) for i in range(5)] == [0, 6, 12, 18, 24]


def test_choice_depends_on_seed_sample_and_draw_only(sweep_root):
    def times(dataset, index: int = 4, draw: int = 0) -> list[float]:
        return dataset[SampleRequest(index, draw)].past_time[:, 0].tolist()

    dataset, other = (reader(sweep_root, frames=2, mode="train") for _ in range(2))
    other.seed = 9
    assert times(dataset) == times(reader(sweep_root, frames=2, mode="train"))
    assert len({tuple(times(dataset, draw=draw)) for draw in range(20)}) == 5
    assert [times(dataset, draw=d) for d in range(6)] != [times(other, draw=d) for d in range(6)]


def test_all_cameras_may_be_augmented_alike(sweep_root):
    image = PLAIN | {"resize": (-0.03, 0.05), "flip": 0.5, "rotation": 0.1}
    alike = reader(sweep_root, mode="train", image=image | {"per_camera": False})
    alone = reader(sweep_root, mode="train", image=image)
    for draw in range(5):
        crops = alike[SampleRequest(1, draw)].crop_from_pixel
        assert np.array_equal(crops, np.broadcast_to(crops[:1], crops.shape))
        other = alone[SampleRequest(1, draw)].crop_from_pixel
        assert np.array_equal(other[0], crops[0])
        assert not np.array_equal(other, np.broadcast_to(other[:1], other.shape))


def test_an_incomplete_sweep_gives_way_to_the_newer_one(sweep_root):
    """A camera that lost its oldest sweep lacks the fifth."""
    lost = "sample0_1_CAM_BACK_4"
    edit(sweep_root, "sample_data", lambda records: [r for r in records if r["token"] != lost])
    dataset = reader(sweep_root, mode="train")
    assert [image.complete for image in dataset.past(1)] == [True] * 4 + [False, True]
    sample = dataset[1]
    np.testing.assert_array_equal(sample.past_images[4], sample.past_images[3])
    np.testing.assert_array_equal(sample.past_time[4], sample.past_time[3])
    np.testing.assert_array_equal(sample.past_ego_from_cam[4], sample.past_ego_from_cam[3])
    assert sample.past_time[5, 0] < sample.past_time[4, 0]


def test_a_lost_sweep_file_is_named_or_masked(sweep_root):
    (sweep_root / "sweeps" / "CAM_BACK" / "0_1_2.jpg").unlink()
    with pytest.raises(DataError, match=r"(?s)CAM_BACK/0_1_2.jpg.*sample0_1"):
        reader(sweep_root, mode="train")[1]
    sample = reader(sweep_root, mode="train", on_missing="mask")[1]
    assert sample.past_images[2, 4].max() == 0
    assert sample.past_images[2, 3].max() > 0
    assert "0_1_2.jpg" in sample.faults[0]
    assert sample.usable


def test_collate_stacks_the_past(sweep_root):
    dataset = reader(sweep_root, mode="train")
    samples = [dataset[1], dataset[3]]
    past = collate(samples).frames[0].past
    assert past is not None
    assert past.images.shape == (2, 7, 6, 3, 32, 88)
    assert past.images.dtype == torch.uint8
    assert past.time.dtype == past.current_time.dtype == torch.float64
    assert past.ego_from_cam.shape == (2, 7, 6, 4, 4)
    for lane, sample in enumerate(samples):
        assert np.array_equal(past.images[lane], sample.past_images)
        assert np.array_equal(past.time[lane], sample.past_time)
        assert np.array_equal(past.current_time[lane], sample.image_time)
    assert collate([dataset[1]]).frames[0][0].past.pixel_from_cam.shape == (1, 7, 6, 3, 3)
    other = NuScenesOccDataset(**handmade.config(sweep_root))
    assert collate([other[1]]).frames[0].past is None


def test_nothing_but_the_past_is_added(sweep_root):
    """Also with all augmentations, depth and an adjacent frame."""
    arguments = handmade.config(sweep_root)
    plain = NuScenesOccDataset(**arguments)[SampleRequest(2, 1)]
    history = NuScenesHistoryDataset(**arguments, history={"type": "ImageHistory"})[SampleRequest(2, 1)]
    for name, value in vars(plain).items():
        if not name.startswith("past") and name != "image_time":
            np.testing.assert_array_equal(value, getattr(history, name), err_msg=name)


# ------------------------------------------------------------------------------------------------ nothing to look at


def test_tables_without_sweeps_are_refused(broken_world):
    edit(broken_world, "sample_data", lambda records: [r | {"timestamp": 0} for r in records])
    with pytest.raises(
        DataError, match=r"(?s)no camera sweeps.*1 of 1 scenes.*scene-0061, token sample0_1.*--sweeps 5"
    ):
        reader(broken_world)


def test_a_scene_without_sweeps_is_refused(sweep_root):
    (sweep_root / "splits.json").write_text(json.dumps({"train": list(handmade.SCENES), "val": []}))
    edit(sweep_root, "sample_data", lambda rs: [r for r in rs if r["is_key_frame"] or "sample0" in r["token"]])
    with pytest.raises(DataError, match=r"(?s)1 of 2 scenes.*scene-0103, token sample1_1"):
        reader(sweep_root)
    assert len(reader(sweep_root, empty="repeat").past(6)) == 1  # the key frame before is known


def test_published_pickles_without_sweeps_are_refused(sweep_root, tmp_path, caplog):
    """F11: their `sweeps` are empty, and a model of eight images would see one."""
    edit(sweep_root, "sample", lambda records: [r | {"prev": ""} for r in records])
    for name in ("sample_annotation", "instance"):
        (sweep_root / handmade.VERSION / f"{name}.json").write_text("[]")
    create_infos(str(sweep_root), sweep_root, "bevdetv2-nuscenes", handmade.VERSION, 1, progress=False)
    split = "bevdetv2-nuscenes_infos_train.pkl"
    with pytest.raises(DataError, match=rf"(?s){split} has no camera sweeps.*7 past images.*create_data_sweeps"):
        reader(sweep_root, split=split)
    with caplog.at_level(logging.WARNING):
        dataset = reader(sweep_root, split=split, empty="repeat")
    assert "past images repeat the current ones" in caplog.text
    sample = dataset[3]
    assert np.array_equal(sample.past_images, np.broadcast_to(sample.images, (7, *sample.images.shape)))
    np.testing.assert_allclose(sample.past_time, reader(sweep_root)[3].image_time[None].repeat(7, 0))
    content = load_pickle(sweep_root / split)
    for info in content["infos"]:
        info["sweeps"] = [{"type": "lidar", "data_path": info["lidar_path"]}]
    (sweep_root / split).write_bytes(pickle.dumps(content))
    with pytest.raises(DataError, match="has no camera sweeps"):
        reader(sweep_root, split=split)
