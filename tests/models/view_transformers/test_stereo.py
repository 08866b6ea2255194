"""Stereo matching on cases with a known answer."""

from __future__ import annotations

import math

import pytest
import torch

from mmdet3d_plugin.models.view_transformers import StereoCostVolume, stereo
from mmdet3d_plugin.structures import CameraRig

H, W, STRIDE, FOCAL = 32, 64, 4, 40.0


def rig():
    intrinsics = torch.tensor([[FOCAL, 0, W / 2], [0, FOCAL, H / 2], [0, 0, 1]])
    eye = torch.eye(4).view(1, 1, 4, 4)
    return CameraRig(eye, intrinsics.view(1, 1, 3, 3), torch.eye(3).view(1, 1, 3, 3), eye[0])


def motion(x=0.0, z=0.0):
    matrix = torch.eye(4).view(1, 1, 4, 4).clone()
    matrix[..., 0, 3], matrix[..., 2, 3] = x, z
    return matrix


def texture(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return 0.1 + torch.rand(1, 1, 8, H // STRIDE, W // STRIDE, generator=generator)


def volume(current, adjacent, adjacent_from_cam, **arguments):
    net = StereoCostVolume((1.0, 11.0, 1.0), **arguments)
    return net(current, adjacent, rig(), adjacent_from_cam, (H, W))


def test_without_motion_every_depth_matches_equally():
    current = texture()
    costs = volume(current, current, motion())
    assert costs.shape == (1, 10, H // STRIDE, W // STRIDE)
    torch.testing.assert_close(costs, torch.full_like(costs, 0.1), atol=1e-4, rtol=0)


@pytest.mark.parametrize("depth_bin", [2, 5])
def test_the_right_depth_wins_where_the_scene_is_a_plane(depth_bin):
    # A camera that moved x metres sees a plane at depth d displaced by FOCAL * x / d pixels; make it 2 features.
    depth = 1.0 + depth_bin + 0.5
    shift = 2
    current = texture()
    adjacent = current.roll(shift, dims=-1)
    costs = volume(current, adjacent, motion(x=shift * STRIDE * depth / FOCAL))
    inside = costs[0, :, :, : -shift - 1]
    assert (inside.argmax(dim=0) == depth_bin).all()


def test_projections_outside_of_the_adjacent_image_are_penalised():
    current = torch.zeros(1, 1, 8, H // STRIDE, W // STRIDE)
    depths = torch.arange(1.5, 11.5)
    x = 3.0
    costs = volume(current, current, motion(x=x))[0, :, 0, 0]  # the first column, u = 1.5
    outside = 1.5 + FOCAL * x / depths > W - 0.5
    assert outside.any()
    assert not outside.all()
    weight = torch.where(outside, math.exp(-5.0), 1.0)
    torch.testing.assert_close(costs, weight / weight.sum())


def test_projections_behind_the_adjacent_camera_are_penalised():
    current = torch.zeros(1, 1, 8, H // STRIDE, W // STRIDE)
    costs = volume(current, current, motion(z=-4.0))[0, :, 4, 8]
    weight = torch.where(torch.arange(1.5, 11.5) < 4.0, math.exp(-5.0), 1.0)
    torch.testing.assert_close(costs, weight / weight.sum())


def test_published_validity_is_an_exact_zero_of_one_channel():
    arguments = {"validity": "zero_feature", "pixel_anchor": "corners", "depth_anchor": "edge"}
    shape = (1, 1, 8, H // STRIDE, W // STRIDE)
    silent = volume(torch.zeros(shape), torch.zeros(shape), motion(x=3.0), **arguments)
    torch.testing.assert_close(silent, torch.full_like(silent, 0.1))  # zeros inside the image count as outside
    bright = volume(torch.ones(shape), torch.ones(shape), motion(x=3.0), **arguments)[0, :, 0, 0]  # u = 0
    shifted = FOCAL * 3.0 / torch.arange(1.0, 11.0)
    far_outside, inside = shifted > W - 1 + W / 15, shifted < W - 1
    assert far_outside.sum() == 1
    assert inside.sum() == 9
    weight = torch.where(inside, 1.0, math.exp(-(8 + 5)))  # 8 channels that differ by 1, and the penalty
    torch.testing.assert_close(bright, weight / weight.sum())


def test_no_gradient_and_float32_under_autocast():
    current = texture().requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        costs = volume(current, current, motion(x=0.5))
    assert costs.dtype == torch.float32
    assert not costs.requires_grad
    torch.testing.assert_close(costs, volume(current, current, motion(x=0.5)))


def test_image_augmentation_is_undone_and_redone():
    current = texture()
    plain = volume(current, current.roll(1, dims=-1), motion(x=0.8))
    cropped = rig()
    crop = torch.tensor([[0.5, 0.0, -3.0], [0.0, 0.5, 2.0], [0.0, 0.0, 1.0]])
    cropped.crop_from_pixel = crop.view(1, 1, 3, 3)
    # The same camera, described as the crop of another one.
    cropped.pixel_from_cam = torch.linalg.inv(crop) @ rig().pixel_from_cam
    net = StereoCostVolume((1.0, 11.0, 1.0))
    found = net(current, current.roll(1, dims=-1), cropped, motion(x=0.8), (H, W))
    torch.testing.assert_close(found, plain, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("published", [False, True])
def test_few_channels_at_a_time_cost_the_same(monkeypatch, published):
    arguments = {"validity": "zero_feature", "pixel_anchor": "corners", "depth_anchor": "edge"} if published else {}
    current, adjacent = texture(), texture(seed=1).sub_(0.6).relu_()  # half of it is silent
    whole = volume(current, adjacent, motion(x=0.7, z=0.2), **arguments)
    monkeypatch.setattr(stereo, "_CACHED", 3 * (H // STRIDE) * (W // STRIDE))
    assert stereo._channels_at_once(current.flatten(0, 1)) == 3
    torch.testing.assert_close(volume(current, adjacent, motion(x=0.7, z=0.2), **arguments), whole)
