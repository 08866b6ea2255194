"""Past images: which camera stands where, and that batches of them move and index like all records."""

from __future__ import annotations

import torch

from mmdet3d_plugin.structures import CameraRig, PastImages

AXES = torch.tensor([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])  # right, down, forward to forward, left, up


def at(x: float) -> torch.Tensor:
    """[4, 4] of a camera that looks forward from x metres."""
    pose = torch.eye(4)
    pose[:3, :3], pose[0, 3] = AXES, x
    return pose


def make(times: int = 3, cameras: int = 2, lanes: int = 2) -> tuple[CameraRig, PastImages]:
    """A rig at x = 0, camera n with focal length 100 + n, and its past: 2 m further back every time."""
    intrinsics = torch.stack([torch.diag(torch.tensor([100.0 + n, 100.0 + n, 1.0])) for n in range(cameras)])
    crop = torch.diag(torch.tensor([0.5, 0.5, 1.0]))
    flip = torch.diag(torch.tensor([1.0, -1.0, 1.0, 1.0]))
    rig = CameraRig(
        at(0.0).repeat(lanes, cameras, 1, 1),
        intrinsics.repeat(lanes, 1, 1, 1),
        crop.repeat(lanes, cameras, 1, 1),
        flip.repeat(lanes, 1, 1),
    )
    poses = torch.stack([at(-2.0 * (t + 1)).repeat(cameras, 1, 1) for t in range(times)])
    past = PastImages(
        torch.zeros(lanes, times, cameras, 3, 4, 4, dtype=torch.uint8),
        poses.repeat(lanes, 1, 1, 1, 1),
        intrinsics.repeat(lanes, times, 1, 1, 1),
        torch.zeros(lanes, times, cameras, dtype=torch.float64),
        torch.zeros(lanes, cameras, dtype=torch.float64),
    )
    return rig, past


def test_the_past_rig_goes_by_time_and_then_by_camera():
    rig, past = make()
    point = torch.tensor([[[10.0, -1.0, 2.0]]]).repeat(2, 1, 1)  # y = 1 m before the scene was mirrored
    pixels, depth = past.rig(rig).project(point)
    assert depth.shape == (2, 6, 1)
    torch.testing.assert_close(depth[0, :, 0], torch.tensor([12.0, 12, 14, 14, 16, 16]))
    focal = torch.tensor([100.0, 101.0]).repeat(3) / 2
    torch.testing.assert_close(pixels[0, :, 0], torch.stack((-focal, -2 * focal), dim=1) / depth[0])


def test_records_index_and_keep_their_types():
    _, past = make()
    one = past[1]
    assert one.images.shape == (1, 3, 2, 3, 4, 4)
    half = past.to(torch.float16)
    assert half.images.dtype == torch.uint8
    assert half.time.dtype == torch.float64
