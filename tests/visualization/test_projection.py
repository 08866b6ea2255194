"""Voxels over camera images: place, size and order by closed form."""

from __future__ import annotations

import numpy as np
import pytest

from mmdet3d_plugin.structures import OCC3D_NUSCENES, VoxelGrid
from mmdet3d_plugin.visualization.projection import CameraImage, compose_projection, paint_voxels

GRID = VoxelGrid((0.0, -10.0, -10.0), (40.0, 10.0, 10.0), (40, 20, 20))  # voxels of 1 m
FOCAL, SIZE = 100.0, (200, 120)  # pixels, (width, height)
FREE, CAR, TRUCK = OCC3D_NUSCENES.free, OCC3D_NUSCENES.index("car"), OCC3D_NUSCENES.index("truck")


def camera() -> CameraImage:
    """Looks along +x from the origin: x right = -y of the grid, y down = -z."""
    pose = np.array([[0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1.0]])
    intrinsics = np.array([[FOCAL, 0, 99.5], [0, FOCAL, 59.5], [0, 0, 1.0]])
    return CameraImage("CAM_FRONT", np.zeros((SIZE[1], SIZE[0], 3), np.uint8), pose, intrinsics)


def painted(*voxels: tuple[int, int, int, int]) -> np.ndarray:
    """Picture of voxels (x, y, z, label)."""
    labels = np.full(GRID.zyx, FREE, np.uint8)
    for x, y, z, label in voxels:
        labels[z, y, x] = label
    return paint_voxels(labels, OCC3D_NUSCENES, GRID, camera())


@pytest.mark.parametrize(("x", "edge"), [(4, 25), (9, 11), (19, 5)])
def test_a_voxel_is_where_and_as_large_as_it_is(x, edge):
    rows, columns = np.nonzero(painted((x, 10, 10, CAR))[..., 2] > 60)  # 0 < y < 1, 0 < z < 1: left, above
    assert columns.min() == pytest.approx(99.5 - FOCAL / x, abs=1.5)
    assert columns.max() == pytest.approx(99.5, abs=1.5)
    assert rows.min() == pytest.approx(59.5 - FOCAL / x, abs=1.5)
    assert rows.max() - rows.min() == pytest.approx(edge, abs=2)


def test_near_voxels_hide_far_ones_in_whatever_order_they_come():
    near, far = (4, 10, 10, CAR), (30, 11, 11, TRUCK)
    both = painted(near, far)
    np.testing.assert_array_equal(both, painted(far, near))
    np.testing.assert_array_equal(both, painted(near))
    assert painted(far).any()


def test_nothing_is_drawn_behind_the_camera_free_or_ignored():
    assert not painted((0, 10, 10, CAR)).any()  # nearer than a metre
    assert not painted((5, 10, 10, OCC3D_NUSCENES.ignore)).any()
    assert not painted().any()


def test_all_cameras_in_one_picture():
    labels = np.full(GRID.zyx, FREE, np.uint8)
    labels[10, 10, 4] = CAR
    picture = compose_projection(labels, OCC3D_NUSCENES, GRID, [camera()] * 6, "title")
    assert picture.shape[1] == 2400
    blue = (picture[..., 2].astype(int) > picture[..., 0].astype(int) + 60).any(axis=0)
    assert [bool(part.any()) for part in np.array_split(blue, 3)] == [True] * 3
