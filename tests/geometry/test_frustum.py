"""Frustum points: where the samples of a feature map lie, and what they become in space."""

from __future__ import annotations

import pytest
import torch

from mmdet3d_plugin.geometry import frustum, lift_frustum
from mmdet3d_plugin.structures import CameraRig


def rig(**overrides) -> CameraRig:
    """One camera at the origin that looks along x: its z is x of the volume, its x is -y, its y is -z."""
    pose = torch.tensor([[0.0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1]])
    fields = {
        "ego_from_cam": pose[None, None],
        "pixel_from_cam": torch.tensor([[100.0, 0, 32], [0, 100, 16], [0, 0, 1]])[None, None],
        "crop_from_pixel": torch.eye(3)[None, None],
        "grid_from_ego": torch.eye(4)[None],
    }
    return CameraRig(**(fields | overrides))


def test_centers_are_the_means_of_their_patches():
    points = frustum(32, 64, 16, torch.tensor([2.0, 3.0]))
    assert points.shape == (2, 2, 4, 3)
    pixels = torch.arange(64.0).view(4, 16)
    torch.testing.assert_close(points[0, 0, :, 0], pixels.mean(dim=1))
    torch.testing.assert_close(points[0, :, 0, 1], torch.arange(32.0).view(2, 16).mean(dim=1))
    assert (points[0, ..., 2] == 2).all()
    assert (points[1, ..., 2] == 3).all()


def test_corners_span_the_image():
    points = frustum(32, 64, 16, torch.tensor([2.0]), "corners")
    torch.testing.assert_close(points[0, 0, :, 0], torch.tensor([0.0, 21.0, 42.0, 63.0]))
    torch.testing.assert_close(points[0, :, 0, 1], torch.tensor([0.0, 31.0]))


def test_refuses_a_stride_that_does_not_divide():
    with pytest.raises(ValueError, match="30 x 64"):
        frustum(30, 64, 16, torch.tensor([2.0]))


def test_lifting_by_hand():
    # The pixel 10 right of and 20 below the principal point, at a depth of 5 m.
    point = torch.tensor([42.0, 36.0, 5.0]).view(1, 1, 1, 3)
    torch.testing.assert_close(lift_frustum(rig(), point).flatten(), torch.tensor([5.0, -0.5, -1.0]))


def test_image_augmentation_is_undone():
    crop = torch.tensor([[-0.5, 0, 60], [0, 0.5, -4], [0, 0, 1]])  # halved, mirrored, shifted
    point = torch.tensor([-0.5 * 42 + 60, 0.5 * 36 - 4, 5.0]).view(1, 1, 1, 3)
    lifted = lift_frustum(rig(crop_from_pixel=crop[None, None]), point)
    torch.testing.assert_close(lifted.flatten(), torch.tensor([5.0, -0.5, -1.0]))


def test_scene_augmentation_is_applied():
    flip_y = torch.diag(torch.tensor([1.0, -1, 1, 1]))
    point = torch.tensor([42.0, 36.0, 5.0]).view(1, 1, 1, 3)
    lifted = lift_frustum(rig(grid_from_ego=flip_y[None]), point)
    torch.testing.assert_close(lifted.flatten(), torch.tensor([5.0, 0.5, -1.0]))


def test_cameras_may_have_their_own_points():
    points = frustum(32, 64, 16, torch.tensor([2.0, 3.0]))
    own = points + torch.tensor([1.0, 0, 0])
    torch.testing.assert_close(lift_frustum(rig(), own[None, None]), lift_frustum(rig(), own))


def test_autocast_leaves_coordinates_alone():
    points = frustum(32, 64, 16, torch.tensor([2.0, 30.0]))
    plain = lift_frustum(rig(), points)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        lifted = lift_frustum(rig(), points)
    assert lifted.dtype == torch.float32
    torch.testing.assert_close(lifted, plain, rtol=0, atol=0)
