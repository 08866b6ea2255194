"""Files that are missing or broken: stop, go on without them, or leave the sample out."""

from __future__ import annotations

import handmade
import numpy as np
import pytest

from mmdet3d_plugin.datasets import NuScenesOccDataset, SampleRequest, collate
from mmdet3d_plugin.errors import ConfigError, DataError

LABEL = "gts/scene-0061/sample0_1/labels.npz"
IMAGE = "samples/CAM_BACK/log__CAM_BACK__01.jpg"
SWEEP = "samples/LIDAR_TOP/log__LIDAR_TOP__01.pcd.bin"
BACK = 4


def opened(root, policy, **options):
    depth = {"type": "DepthMaps", "depth_range": (1.0, 45.0), "semantics": True}
    return NuScenesOccDataset(**handmade.config(root, on_missing=policy, depth=depth, **options))


def same_but(one, other, *names) -> None:
    for name, value in vars(one).items():
        if name not in (*names, "faults", "usable") and isinstance(value, np.ndarray):
            np.testing.assert_array_equal(value, getattr(other, name), err_msg=name)


def test_the_policy_is_one_of_three(world):
    with pytest.raises(ConfigError, match="on_missing cannot be 'ignore'"):
        opened(world, "ignore")


@pytest.mark.parametrize("policy", ["error", "skip", "mask"])
def test_nothing_changes_where_nothing_is_missing(world, policy):
    sample = opened(world, policy)[SampleRequest(1, 2)]
    same_but(sample, opened(world, "error")[SampleRequest(1, 2)])
    assert sample.usable
    assert sample.faults == ()


@pytest.mark.parametrize("file", [LABEL, IMAGE, SWEEP])
def test_error_names_sample_and_file(broken_world, file):
    dataset = opened(broken_world, "error")
    (broken_world / file).write_bytes(b"broken")
    with pytest.raises(DataError, match=rf"(?s){file.rsplit('/', 1)[-1]}.*token sample0_1"):
        dataset[1]


def test_a_lost_image_is_black(broken_world, world):
    (broken_world / IMAGE).unlink()
    whole, sample = opened(world, "mask")[1], opened(broken_world, "mask")[1]
    assert whole.images[BACK].any()
    assert not sample.images[BACK].any()
    assert np.array_equal(np.delete(sample.images, BACK, 0), np.delete(whole.images, BACK, 0))
    same_but(sample, whole, "images")
    assert sample.usable
    assert len(sample.faults) == 1
    assert "log__CAM_BACK__01.jpg" in sample.faults[0]


def test_a_lost_sweep_leaves_no_depth(broken_world, world):
    (broken_world / SWEEP).write_bytes(b"broken")
    whole, sample = opened(world, "mask")[1], opened(broken_world, "mask")[1]
    assert whole.depth.any()
    assert not sample.depth.any()
    assert (sample.image_semantics == 255).all()
    same_but(sample, whole, "depth", "image_semantics")


@pytest.mark.parametrize("policy", ["skip", "mask"])
@pytest.mark.parametrize("mode", ["train", "evaluate"])
def test_samples_without_labels_are_not_used(broken_world, policy, mode):
    (broken_world / LABEL).unlink()  # does not stop the data set at the door either
    sample = opened(broken_world, policy, mode=mode)[1]
    assert not sample.usable
    assert (sample.occupancy == 255).all()
    assert sample.images.any()
    assert opened(broken_world, policy, mode=mode)[0].usable


def test_skip_trains_nothing_of_a_sample_that_lacks_an_image(broken_world):
    (broken_world / IMAGE).unlink()
    sample = opened(broken_world, "skip")[1]
    assert not sample.usable
    assert (sample.occupancy == 255).all()
    assert not sample.depth.any()
    assert (sample.image_semantics == 255).all()
    assert np.delete(sample.images, BACK, 0).any()


def test_batches_say_what_their_samples_lack(broken_world):
    (broken_world / LABEL).unlink()
    dataset = opened(broken_world, "mask")
    batch = collate([dataset[0], dataset[1]])
    assert batch.usable == (True, False)
    assert batch.faults[0] == ""
    assert "labels.npz" in batch.faults[1]
    assert batch[1].usable == (False,)
