"""Warping of histories: standing, whole-voxel shifts, flips, brute force (spec/04 section 4.9)."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmdet3d_plugin.geometry import sample_volume, warp_index_matrix, warp_locations, warp_volume
from mmdet3d_plugin.geometry.transforms import mirror, rotation_z
from mmdet3d_plugin.structures import VoxelGrid

VOLUME = VoxelGrid((-4.0, -3.0, -1.0), (4.0, 3.0, 1.0), (16, 10, 4))
BEV = VOLUME.collapsed()
GRIDS = pytest.mark.parametrize("grid", [VOLUME, BEV], ids=["volume", "bev"])
ANCHORS = pytest.mark.parametrize("anchor", ["center", "corner"])


def features(grid: VoxelGrid, channels: int = 2) -> torch.Tensor:
    return torch.randn(1, channels, *grid.zyx, generator=torch.Generator().manual_seed(0))


def matrices(*poses: np.ndarray) -> list[torch.Tensor]:
    return [torch.from_numpy(np.asarray(pose)).float()[None] for pose in poses]


def translation(x: float, y: float = 0.0, z: float = 0.0) -> np.ndarray:
    pose = np.eye(4)
    pose[:3, 3] = x, y, z
    return pose


def warp(past: torch.Tensor, grid: VoxelGrid, before, motion, now, anchor: str) -> torch.Tensor:
    return warp_volume(past, warp_index_matrix(grid, *matrices(before, motion, now), anchor))


@GRIDS
@ANCHORS
def test_standing_still_is_the_identity(grid, anchor):
    past = features(grid)
    torch.testing.assert_close(warp(past, grid, np.eye(4), np.eye(4), np.eye(4), anchor), past, atol=1e-5, rtol=0)


@GRIDS
@ANCHORS
@pytest.mark.parametrize(("along_x", "along_y"), [(2, 0), (-3, 0), (0, 1), (1, -2)])
def test_whole_voxels_roll_and_fill_with_zeros(grid, anchor, along_x, along_y):
    # The car drove forward: a thing at x now was at x + motion in the previous frame.
    past = features(grid)
    size = grid.voxel_size
    moved = warp(past, grid, np.eye(4), translation(along_x * size[0], along_y * size[1]), np.eye(4), anchor)
    expected = torch.zeros_like(past)
    _, height, width = grid.zyx
    for y in range(height):
        for x in range(width):
            if 0 <= x + along_x < width and 0 <= y + along_y < height:
                expected[..., y, x] = past[..., y + along_y, x + along_x]
    torch.testing.assert_close(moved, expected, atol=1e-4, rtol=0)


def test_vertical_motion_moves_slabs():
    past = features(VOLUME)
    moved = warp(past, VOLUME, np.eye(4), translation(0, 0, 0.5), np.eye(4), "center")
    torch.testing.assert_close(moved[:, :, :-1], past[:, :, 1:], atol=1e-4, rtol=0)
    torch.testing.assert_close(moved[:, :, -1], torch.zeros_like(past[:, :, -1]))


@GRIDS
def test_a_new_flip_mirrors_the_history(grid):
    # The grid is symmetric about the origin, so with centres a flip is exact.
    past = features(grid)
    flipped = warp(past, grid, np.eye(4), np.eye(4), mirror(True, False), "center")
    torch.testing.assert_close(flipped, past.flip(-1), atol=1e-4, rtol=0)
    back = warp(flipped, grid, mirror(True, False), np.eye(4), np.eye(4), "center")
    torch.testing.assert_close(back, past, atol=1e-4, rtol=0)


@GRIDS
def test_the_published_corner_is_one_voxel_off_under_flips(grid):
    # spec/04 section 4.1: cell X-1-j samples cell j + 1 of the previous frame.
    past = features(grid)
    flipped = warp(past, grid, np.eye(4), np.eye(4), mirror(True, False), "corner")
    torch.testing.assert_close(flipped[..., 1:], past.flip(-1)[..., :-1], atol=1e-4, rtol=0)
    assert (flipped[..., 0].abs() < 1e-4).all()


@GRIDS
@ANCHORS
def test_flips_that_do_not_change_do_not_matter(grid, anchor):
    # A motion along x, seen in two scenes that are both mirrored, is the opposite motion.
    past, step = features(grid), grid.voxel_size[0]
    both = warp(past, grid, mirror(True, False), translation(step), mirror(True, False), anchor)
    plain = warp(past, grid, np.eye(4), translation(-step), np.eye(4), anchor)
    torch.testing.assert_close(both, plain, atol=1e-4, rtol=0)


@GRIDS
@ANCHORS
def test_matrix_against_brute_force(grid, anchor):
    before = mirror(False, True) @ rotation_z(0.2)
    motion = translation(1.3, -0.4, 0.1) @ rotation_z(-0.3)
    now = rotation_z(0.1)
    matrix = warp_index_matrix(grid, *matrices(before, motion, now), anchor)
    locations = warp_locations(matrix, grid.zyx)
    offset = 0.5 if anchor == "center" else 0.0
    lower, size = np.array(grid.lower), np.array(grid.voxel_size)
    for z, y, x in ((0, 0, 0), (0, 3, 7), (grid.zyx[0] - 1, 9, 15)):
        metres = lower + (np.array([x, y, z]) + offset) * size
        if grid.is_bev and anchor == "corner":
            metres[2] = 1.0
        past = before @ motion @ np.linalg.inv(now) @ np.append(metres, 1.0)
        index = (past[:3] - lower) / size - offset
        axes = 2 if grid.is_bev else 3
        np.testing.assert_allclose(locations[0, z, y, x, :axes], index[:axes], atol=1e-4)


@settings(max_examples=20, deadline=None)
@given(yaw=st.floats(-3, 3), x=st.floats(-2, 2), y=st.floats(-2, 2), angle=st.floats(-3, 3))
def test_a_common_augmentation_conjugates_the_motion(yaw, x, y, angle):
    motion = translation(x, y) @ rotation_z(yaw)
    augmentation = mirror(True, False) @ rotation_z(angle)
    direct = warp_index_matrix(VOLUME, *matrices(augmentation, motion, augmentation), "center")
    conjugated = augmentation @ motion @ np.linalg.inv(augmentation)
    expected = warp_index_matrix(VOLUME, *matrices(np.eye(4), conjugated, np.eye(4)), "center")
    torch.testing.assert_close(direct, expected, atol=1e-4, rtol=1e-4)


def test_sampling_is_linear_between_voxels_and_fades_at_the_border():
    volume = torch.arange(4.0).view(1, 1, 1, 1, 4).expand(1, 1, 2, 3, 4)
    where = torch.tensor([[0.25, 1.0, 0.5], [2.5, 0.0, 0.0], [3.5, 1.0, 0.0], [5.0, 1.0, 0.0]])
    sampled = sample_volume(volume, where.view(1, 1, 1, 4, 3))
    torch.testing.assert_close(sampled.flatten(), torch.tensor([0.25, 2.5, 1.5, 0.0]))


def test_a_birds_eye_view_ignores_height():
    past = features(BEV)
    matrix = warp_index_matrix(BEV, *matrices(np.eye(4), translation(0, 0, 30.0), np.eye(4)), "center")
    torch.testing.assert_close(warp_volume(past, matrix), past, atol=1e-5, rtol=0)


def test_grids_with_a_single_line():
    grid = VoxelGrid((0.0, 0.0, 0.0), (4.0, 1.0, 1.0), (4, 1, 1))
    past = features(grid)
    torch.testing.assert_close(warp(past, grid, np.eye(4), np.eye(4), np.eye(4), "center"), past, atol=1e-5, rtol=0)


def test_lanes_move_independently():
    past = torch.cat((features(BEV), features(BEV)))
    identity, shift = matrices(np.eye(4), translation(BEV.voxel_size[0]))
    still = torch.cat((identity, identity))
    matrix = warp_index_matrix(BEV, still, torch.cat((identity, shift)), still, "center")
    moved = warp_volume(past, matrix)
    torch.testing.assert_close(moved[0], past[0], atol=1e-5, rtol=0)
    torch.testing.assert_close(moved[1, ..., :-1], past[1, ..., 1:], atol=1e-4, rtol=0)


def test_half_precision_features_are_warped_with_single_precision_coordinates():
    # In bfloat16 the coordinates of a 200-voxel axis would be off by up to half a voxel.
    grid = VoxelGrid((-40.0, -1.0, -1.0), (40.0, 1.0, 1.0), (200, 1, 1))
    past = torch.arange(200.0).view(1, 1, 1, 1, 200).bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        moved = warp(past, grid, np.eye(4), translation(0.4), np.eye(4), "center")
    assert moved.dtype == torch.bfloat16
    torch.testing.assert_close(moved[..., :-1].float(), past[..., 1:].float(), atol=0.6, rtol=0.004)
    assert math.isclose(moved[..., 100].item(), 101, abs_tol=0.01)


def test_gradient_reaches_features_and_locations():
    volume = torch.randn(1, 1, 2, 3, 4, dtype=torch.float64, requires_grad=True)
    where = (torch.rand(1, 1, 1, 5, 3, dtype=torch.float64) * 0.8 + 0.1).requires_grad_()
    assert torch.autograd.gradcheck(sample_volume, (volume, where))
