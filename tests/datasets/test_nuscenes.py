from __future__ import annotations

import dataclasses
import os
import pickle

import handmade
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from mmdet3d_plugin.datasets import (
    NuScenesOccDataset,
    SampleRequest,
    StreamingBatchSampler,
    collate,
    init_worker,
)
from mmdet3d_plugin.datasets.index import CAMERAS
from mmdet3d_plugin.errors import ConfigError
from mmdet3d_plugin.registry import DATASETS
from mmdet3d_plugin.structures import OCC3D_NUSCENES, CameraRig, VoxelGrid

STEP = 0.5 * handmade.SPEED  # metres between key frames
FRONT = CAMERAS.index("CAM_FRONT")


@pytest.fixture(scope="module")
def dataset(world) -> NuScenesOccDataset:
    return NuScenesOccDataset(**handmade.config(world))


def equal(a, b) -> bool:
    pairs = ((getattr(a, f.name), getattr(b, f.name)) for f in dataclasses.fields(a))
    return all(np.array_equal(x, y) if isinstance(x, np.ndarray) else x == y for x, y in pairs)


def test_who_is_in_it(dataset):
    assert len(dataset) == handmade.SCENES["scene-0061"]
    assert dataset.label_space is OCC3D_NUSCENES
    assert dataset.grid == VoxelGrid(**handmade.GRID)
    assert dataset.tokens.tolist() == [f"sample0_{i}" for i in range(5)]
    assert set(dataset.scene_names) == {"scene-0061"}
    assert "sample0_2" in dataset.describe(2)
    assert "CAM_FRONT" in dataset.describe(2)


def test_cameras_are_seen_from_the_ego_frame_at_lidar_time(dataset):
    """35 ms before the lidar the car was 35 cm further back: so are its cameras."""
    front = dataset.volume_from_cam(1)[FRONT]
    np.testing.assert_allclose(front[:3, 3], [1.5 - handmade.DELAY * handmade.SPEED, 0, 1.5], atol=1e-9)
    np.testing.assert_allclose(front[:3, 2], [1, 0, 0], atol=1e-12)  # optical axis forward
    np.testing.assert_allclose(front[:3, 0], [0, -1, 0], atol=1e-12)  # image right is ego right
    left = dataset.volume_from_cam(1)[CAMERAS.index("CAM_FRONT_LEFT")]
    np.testing.assert_allclose(left[:3, 2], [np.cos(np.radians(55)), np.sin(np.radians(55)), 0], atol=1e-12)


def test_published_cameras_are_seen_from_the_ego_frame_of_the_front_image(world):
    published = NuScenesOccDataset(**handmade.config(world, key_frame="cam_front_ego"))
    assert published[0].frame == "ego_cam_front_time"
    np.testing.assert_allclose(published.volume_from_cam(1)[FRONT][:3, 3], [1.5, 0, 1.5], atol=1e-9)


def test_motion(dataset):
    first, second = dataset[0], dataset[1]
    assert first.starts_sequence
    assert not second.starts_sequence
    np.testing.assert_array_equal(first.prev_from_ego, np.eye(4))
    np.testing.assert_allclose(second.prev_from_ego[:3, 3], [STEP, 0, 0], atol=1e-5)
    np.testing.assert_allclose(second.prev_from_ego[:3, :3], np.eye(3), atol=1e-6)
    assert second.time - first.time == pytest.approx(0.5, abs=1e-6)


def test_adjacent_images_are_those_of_the_previous_key_frame(dataset, world):
    plain = NuScenesOccDataset(**handmade.config(world, mode="predict"))
    np.testing.assert_array_equal(plain[2].adjacent_images, plain[1].images)
    np.testing.assert_array_equal(plain[0].adjacent_images, plain[0].images)
    np.testing.assert_array_equal(plain[0].adjacent_from_cam, np.broadcast_to(np.eye(4), (6, 4, 4)))
    forward = plain[2].adjacent_from_cam[FRONT]
    np.testing.assert_allclose(forward[:3, 3], [0, 0, STEP], atol=1e-5)  # seen from there, it has driven forward
    np.testing.assert_array_equal(dataset.volume_from_cam(2), plain.volume_from_cam(2))


def test_sequences_cut_streams_but_not_adjacency(world):
    split = NuScenesOccDataset(**handmade.config(world, sequences_split=2, mode="predict"))
    assert [s.tolist() for s in split.sequences] == [[0, 1, 2], [3, 4]]
    samples = [split[i] for i in range(5)]
    assert [s.starts_sequence for s in samples] == [True, False, False, True, False]
    assert [s.sequence_id for s in samples] == [0, 0, 0, 1, 1]
    np.testing.assert_array_equal(samples[3].prev_from_ego, np.eye(4))
    np.testing.assert_array_equal(samples[3].adjacent_images, samples[2].images)
    with pytest.raises(ConfigError, match="sequences_split"):
        NuScenesOccDataset(**handmade.config(world, sequences_split=0))


def test_types_and_shapes(dataset):
    sample = dataset[1]
    assert sample.images.shape == (6, 3, 32, 88)
    assert sample.images.dtype == np.uint8
    assert sample.occupancy.shape == (16, 200, 200)
    assert sample.occupancy.dtype == np.uint8
    assert sample.depth.shape == sample.image_semantics.shape == (6, 32, 88)
    assert sample.mask_camera is None
    assert sample.ray_origins is None
    assert sample.lidar_depth is None
    for name in (
        "ego_from_cam",
        "pixel_from_cam",
        "crop_from_pixel",
        "grid_from_ego",
        "prev_from_ego",
        "depth",
    ):
        assert getattr(sample, name).dtype == np.float32


def test_evaluation_draws_nothing_and_reads_no_lidar(world, monkeypatch):
    monkeypatch.setattr("mmdet3d_plugin.datasets.nuscenes.read_points", None)
    evaluation = NuScenesOccDataset(**handmade.config(world, mode="evaluate"))
    sample = evaluation[SampleRequest(2, 7)]
    assert equal(sample, evaluation[2])
    np.testing.assert_array_equal(sample.grid_from_ego, np.eye(4))
    assert sample.depth is None
    assert not (sample.occupancy == 255).any()
    assert 0 < sample.mask_camera.sum() < sample.mask_lidar.sum() == 640_000
    assert sample.occupancy[3, 120, 150] == 4  # disk [150, 120, 3]: axes are turned once
    # lidar of all five key frames, 5 m apart, seen from the third
    np.testing.assert_allclose(sample.ray_origins, [[0.94 + STEP * (k - 2), 0, 1.84] for k in range(5)], atol=1e-9)


def test_prediction_needs_images_and_tables_only(broken_world):
    for folder in ("gts", "lidarseg", "samples/LIDAR_TOP"):
        os.rename(broken_world / folder, broken_world / f"no_{folder.replace('/', '_')}")
    dataset = NuScenesOccDataset(**handmade.config(broken_world, mode="predict"))
    batch = collate([dataset[0], dataset[1]])
    assert batch.targets is None
    assert batch.frames[0].batch_size == 2


def test_lidar_depth_can_be_an_input(world):
    depth = {"type": "DepthMaps", "depth_range": (1.0, 45.0), "as_input": True}
    training = NuScenesOccDataset(**handmade.config(world, depth=depth))[1]
    np.testing.assert_array_equal(training.lidar_depth, training.depth)
    sample = NuScenesOccDataset(**handmade.config(world, depth=depth, mode="evaluate"))[1]
    assert sample.depth is None
    assert (sample.lidar_depth > 0).any()


def test_only_voxels_that_a_camera_sees_are_trained(world):
    still = handmade.config(world, scene=None)
    masked = NuScenesOccDataset(**still)[1].occupancy
    labels = {"type": "Occ3DLabels", "grid": handmade.GRID, "mask": "none"}
    free = NuScenesOccDataset(**(still | {"labels": labels}))[1]
    unseen = np.ones((16, 200, 200), bool)
    unseen[:, 10:190, 20:] = False
    np.testing.assert_array_equal(masked == 255, unseen)
    np.testing.assert_array_equal(masked[~unseen], free.occupancy[~unseen])
    assert not (free.occupancy == 255).any()


def test_depth_maps_agree_with_the_rig_of_the_model(dataset):
    """Lidar points projected by the augmented rig of the model are where the depth maps say."""
    for index in range(3):
        sample = dataset[SampleRequest(index, 5)]
        rig = CameraRig(*(torch.from_numpy(getattr(sample, f.name))[None] for f in dataclasses.fields(CameraRig)))
        raw = np.fromfile(dataset.root / str(dataset.index.lidar_file[index]), "<f4").reshape(-1, 5)[:, :3]
        ego_from_lidar = dataset.index.ego_from_lidar[index]
        grid = (sample.grid_from_ego @ ego_from_lidar @ np.c_[raw, np.ones(len(raw))].T).T[:, :3]
        pixels, depth = rig.project(torch.from_numpy(grid.astype(np.float32))[None])
        pixels, depth = pixels[0].numpy(), depth[0].numpy()
        assert (sample.depth > 0).sum() > 60
        for camera in range(6):
            lines, columns = np.nonzero(sample.depth[camera])
            for v, u in zip(lines, columns):
                near = np.abs(pixels[camera] - [u, v]).max(axis=1) < 0.51
                near &= np.abs(depth[camera] - sample.depth[camera, v, u]) < 1e-3
                assert near.any()


def test_labels_and_rig_are_augmented_alike(dataset):
    """The mark at (20.2, 8.2) m is found in the labels where `grid_from_ego` puts it."""
    for draw in range(6):
        sample = dataset[SampleRequest(1, draw)]
        expected = sample.grid_from_ego @ [20.2, 8.2, 0, 1]
        _, rows, columns = np.nonzero(sample.occupancy == 4)
        if len(rows):  # nearest sampling of a rotated grid may step over a single voxel
            assert abs(columns.mean() * 0.4 - 39.8 - expected[0]) < 0.3
            assert abs(rows.mean() * 0.4 - 39.8 - expected[1]) < 0.3


def test_draws_differ_and_repeat(dataset):
    again = DATASETS.build({"type": "NuScenesOccDataset", **handmade.config(dataset.root)})
    assert equal(dataset[SampleRequest(3, 1)], again[SampleRequest(3, 1)])
    assert not equal(dataset[SampleRequest(3, 1)], dataset[SampleRequest(3, 2)])
    other = NuScenesOccDataset(**handmade.config(dataset.root))
    other.seed = 1  # as the training loader does
    assert not equal(dataset[SampleRequest(3, 1)], other[SampleRequest(3, 1)])


@pytest.mark.parametrize("workers", [1, 2])
def test_batches_do_not_depend_on_the_workers(dataset, workers):
    def batches(count: int) -> list:
        sampler = StreamingBatchSampler(dataset.sequences, 2, seed=3)
        loader = DataLoader(
            dataset, batch_sampler=sampler, num_workers=count, collate_fn=collate, worker_init_fn=init_worker
        )
        iterator = iter(loader)
        return [next(iterator) for _ in range(4)]

    for plain, parallel in zip(batches(0), batches(workers)):
        a, b = plain.frames[0], parallel.frames[0]
        assert a.meta.token == b.meta.token
        for x, y in (
            (a.images, b.images),
            (a.rig.crop_from_pixel, b.rig.crop_from_pixel),
            (a.rig.grid_from_ego, b.rig.grid_from_ego),
            (plain.targets.occupancy, parallel.targets.occupancy),
            (plain.targets.depth, parallel.targets.depth),
        ):
            assert torch.equal(x, y)


def test_collate_stacks_lanes(dataset):
    batch = collate([dataset[0], dataset[3]])
    (frame,) = batch.frames
    assert frame.images.shape == (2, 6, 3, 32, 88)
    assert frame.images.dtype == torch.uint8
    assert frame.adjacent.images.shape == frame.images.shape
    assert frame.meta.token == ("sample0_0", "sample0_3")
    assert frame.meta.starts_sequence.tolist() == [True, False]
    assert frame.meta.time.dtype == torch.float64
    assert batch.targets.occupancy.shape == (2, 16, 200, 200)
    assert batch.targets.flow is None
    assert batch[1].frames[0].meta.token == ("sample0_3",)


def test_a_batch_of_one_is_not_copied(dataset):
    sample = dataset[0]
    assert collate([sample]).frames[0].images.data_ptr() == sample.images.ctypes.data


def test_works_from_any_directory(world, tmp_path, monkeypatch):
    monkeypatch.chdir(world.parent)
    dataset = NuScenesOccDataset(**handmade.config("nuscenes"))
    monkeypatch.chdir(tmp_path)
    assert dataset[0].token == "sample0_0"


def test_index_is_shared_columns(dataset):
    """Workers receive arrays, not objects: the pickled data set is small and holds no dict per key frame."""
    assert len(pickle.dumps(dataset)) < 100_000
    with pytest.raises(dataclasses.FrozenInstanceError):
        dataset.index.token = None


def test_unknown_position_is_an_index_error(dataset):
    with pytest.raises(IndexError, match="key frame 5"):
        dataset[5]
