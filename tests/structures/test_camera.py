"""CameraRig: projection inverts unprojection, for any pose and augmentation."""

from __future__ import annotations

import math

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmdet3d_plugin.geometry.transforms import mirror, pose_matrix, rotation_z
from mmdet3d_plugin.structures import CameraRig

component = st.floats(-1, 1)
quaternions = st.tuples(*[component] * 4).filter(lambda q: math.hypot(*q) > 0.1)


@st.composite
def rigs(draw) -> CameraRig:
    """Two cameras, drawn poses, intrinsics and augmentations."""
    poses = [pose_matrix(draw(quaternions), draw(st.tuples(*[st.floats(-3, 3)] * 3))) for _ in range(2)]
    pinholes, crops = [], []
    for _ in range(2):
        focal = draw(st.floats(300, 1500))
        pinholes.append([[focal, 0, draw(st.floats(300, 900))], [0, focal, 400], [0, 0, 1]])
        scale, angle = draw(st.floats(0.3, 1.2)), draw(st.floats(-0.2, 0.2))
        side = draw(st.sampled_from([-1, 1]))
        cos, sin = scale * math.cos(angle), scale * math.sin(angle)
        crops.append([[side * cos, sin, draw(st.floats(-100, 100))], [-side * sin, cos, -140], [0, 0, 1]])
    scene = mirror(draw(st.booleans()), draw(st.booleans())) @ rotation_z(draw(st.floats(-3, 3)))
    return CameraRig(*(torch.from_numpy(np.array(value)).float()[None] for value in (poses, pinholes, crops, scene)))


def test_by_hand():
    # A camera 1.5 m above the ground that looks along x; the point is 10 m ahead, 1 m left, 0.5 m up.
    pose = torch.tensor([[0.0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 1.5], [0, 0, 0, 1]])[None, None]
    pinhole = torch.tensor([[1000.0, 0, 800], [0, 1000, 450], [0, 0, 1]])[None, None]
    half = torch.tensor([[0.5, 0, 0], [0, 0.5, -20], [0, 0, 1]])[None, None]
    rig = CameraRig(pose, pinhole, half, torch.eye(4)[None])
    pixels, depth = rig.project(torch.tensor([[[10.0, 1.0, 0.5], [-10.0, 0.0, 0.0]]]))
    torch.testing.assert_close(pixels[0, 0, 0], torch.tensor([0.5 * (800 - 100), 0.5 * (450 + 100) - 20]))
    torch.testing.assert_close(depth[0, 0], torch.tensor([10.0, -10.0]))
    assert rig.num_cameras == 1


@settings(max_examples=50, deadline=None)
@given(
    rig=rigs(),
    pixel=st.tuples(st.floats(0, 703), st.floats(0, 255)),
    depth=st.floats(1, 60),
)
def test_projection_inverts_unprojection(rig, pixel, depth):
    points = rig.unproject(torch.tensor([pixel]), torch.tensor([depth]))
    assert points.shape == (1, 2, 1, 3)
    pixels, depths = rig.project(points[:, :, 0])
    for camera in range(2):
        torch.testing.assert_close(pixels[0, camera, camera], torch.tensor(pixel), atol=0.05, rtol=0)
        torch.testing.assert_close(depths[0, camera, camera], torch.tensor(depth), atol=1e-3, rtol=0)


@settings(max_examples=20, deadline=None)
@given(rig=rigs())
def test_scene_augmentation_moves_lifted_points(rig):
    pixels, depth = torch.tensor([[100.0, 50.0], [600.0, 200.0]]), torch.tensor([5.0, 30.0])
    plain = CameraRig(rig.ego_from_cam, rig.pixel_from_cam, rig.crop_from_pixel, torch.eye(4)[None])
    moved = plain.unproject(pixels, depth) @ rig.grid_from_ego[0, :3, :3].T
    torch.testing.assert_close(rig.unproject(pixels, depth), moved, atol=1e-3, rtol=1e-4)


def test_projection_survives_points_in_the_image_plane_of_the_camera():
    eye = torch.eye(4)
    rig = CameraRig(eye[None, None], eye[None, None, :3, :3], eye[None, None, :3, :3], eye[None])
    pixels, depth = rig.project(torch.tensor([[[1.0, 1.0, 0.0]]]))
    assert torch.isfinite(pixels).all()
    assert depth.item() == 0
