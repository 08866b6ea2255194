"""The weights and inputs of the golden figures are those of their recipe."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from mmdet3d_plugin.parity import recipe

GOLDEN = Path(__file__).resolve().parents[3] / "shared" / "golden"
needs_golden = pytest.mark.skipif(not GOLDEN.is_dir(), reason="golden figures are not beside the repository")


@pytest.fixture(scope="module")
def published() -> ModuleType:
    spec = importlib.util.spec_from_file_location("golden_recipe", GOLDEN / "recipe.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@needs_golden
@pytest.mark.parametrize("seed", [0, 11])
@pytest.mark.parametrize(
    ("key", "shape"),
    [
        ("a.conv.weight", (4, 3, 3, 3)),
        ("a.bn.weight", (5,)),
        ("a.bn.bias", (5,)),
        ("a.bn.running_mean", (5,)),
        ("a.bn.running_var", (5,)),
        ("scale", ()),
    ],
)
def test_weights_follow_the_recipe(published: ModuleType, key: str, shape: tuple[int, ...], seed: int) -> None:
    ours, theirs = recipe.weight(key, shape, seed), published.golden_value(key, shape, seed)
    assert ours.dtype == theirs.dtype == np.float32
    np.testing.assert_array_equal(ours, theirs)


@needs_golden
def test_sampled_positions_follow_the_recipe(published: ModuleType) -> None:
    np.testing.assert_array_equal(recipe.sample_positions("head_in", 999), published.sample_idx("head_in", 999))
    np.testing.assert_array_equal(recipe.logit_positions(640000), published.logit_idx(640000))


@needs_golden
@pytest.mark.parametrize(
    ("t", "seed", "cameras", "kind"),
    [(0, 0, recipe.NUSCENES, "nusc"), (3, 5, recipe.NUSCENES, "nusc"), (2, 1, recipe.WAYMO, "waymo")],
)
def test_frames_follow_the_recipe(published: ModuleType, t: int, seed: int, cameras: recipe.Cameras, kind: str) -> None:
    size = (72, 160)  # not a multiple of the squares
    frame = recipe.Inputs(size, seed, cameras, lidar_depth=True).frame(t, batch=2)
    for b, camera in ((0, 4), (1, 2)):
        for images, time in ((frame.images, t), (frame.adjacent.images, max(t - 1, 0))):
            np.testing.assert_array_equal(
                images[b, camera].numpy(), published.image(time, camera, *size, seed + 1000 * b)
            )
    for b in (0, 1):
        depth = published.depth_map(t, len(cameras), *size, seed + 1000 * b)
        np.testing.assert_array_equal(frame.lidar_depth[b].numpy(), depth)
    pose, intrinsics = published.rig(kind)
    rotation, shift = published.post_aug(*size, *cameras.source_size)
    crop = rotation.copy()
    crop[:2, 2] = shift[:2]
    for ours, theirs in (
        (frame.rig.ego_from_cam[1], pose),
        (frame.rig.pixel_from_cam[1], intrinsics),
        (frame.rig.crop_from_pixel[1, 3], crop),
    ):
        np.testing.assert_array_equal(ours.numpy(), theirs.astype(np.float32))
    now, before = published.ego_pose(t), published.ego_pose(max(t - 1, 0))
    np.testing.assert_allclose(frame.meta.prev_from_ego[1].numpy(), np.linalg.inv(before) @ now, atol=1e-6)


def test_the_first_frame_starts_and_is_its_own_predecessor() -> None:
    first, second = (recipe.frame(t, (32, 32), 0) for t in (0, 1))
    assert first.meta.starts_sequence.tolist() == [True]
    assert second.meta.starts_sequence.tolist() == [False]
    assert torch.equal(first.adjacent.images, first.images)
    assert torch.equal(second.adjacent.images, first.images)
    torch.testing.assert_close(first.adjacent.adjacent_from_cam, torch.eye(4).expand(1, 6, 4, 4))
    moved = second.adjacent.adjacent_from_cam[0, 1]  # the front camera moved forward
    assert moved[2, 3] == pytest.approx(2.03, abs=0.05)


def test_aliases_take_the_value_of_the_first_key() -> None:
    manifest = {
        "aliases": {"b.weight": "a.weight"},
        "state_dict": [["a.weight", [2, 2], "float32"], ["b.weight", [2, 2], "float32"], ["n", [], "int64"]],
    }
    state = recipe.published_state_dict(manifest, seed=4)
    assert torch.equal(state["b.weight"], state["a.weight"])
    assert not torch.equal(state["a.weight"], recipe.published_state_dict(manifest, seed=5)["a.weight"])
    assert state["n"].dtype == torch.int64
