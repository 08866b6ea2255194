"""Inputs for the lifting ops, shared by their tests and benchmarks."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from mmdet3d_plugin.geometry import frustum, lift_frustum
from mmdet3d_plugin.structures import CameraRig, VoxelGrid


@dataclass(frozen=True)
class Size:
    """Shape of a lifting problem; `image` is the network input (H, W), `zyx` the grid over +-40 m, -1 .. 5.4
    m."""

    batch: int
    channels: int
    bins: int
    image: tuple[int, int]
    zyx: tuple[int, int, int]
    cameras: int = 6
    stride: int = 16


SIZES = {
    "toy": Size(2, 24, 32, (128, 352), (1, 100, 100)),
    "bev": Size(1, 40, 44, (256, 704), (1, 200, 200)),
    "volume": Size(1, 32, 88, (256, 704), (16, 200, 200)),
}


def random_points(
    batch: int = 2,
    cameras: int = 2,
    channels: int = 3,
    bins: int = 4,
    height: int = 2,
    width: int = 3,
    zyx: tuple[int, int, int] = (3, 4, 5),
    dtype: torch.dtype = torch.float64,
    margin: float = 1.5,
    seed: int = 0,
) -> tuple[Tensor, Tensor, Tensor]:
    """Context [B, N, C, h, w], weights [B, N, D, h, w], index [B, N, D, h, w, 3] up to `margin` outside."""
    generator = torch.Generator().manual_seed(seed)
    points = (batch, cameras, bins, height, width)
    context = torch.randn(batch, cameras, channels, height, width, generator=generator, dtype=torch.float64)
    weights = torch.rand(points, generator=generator, dtype=torch.float64)
    size = torch.tensor(zyx[::-1], dtype=torch.float64)
    index = torch.rand(*points, 3, generator=generator, dtype=torch.float64) * (size + 2 * margin) - margin
    coordinates = torch.float64 if dtype == torch.float64 else torch.float32
    return context.to(dtype), weights.to(dtype), index.to(coordinates)


def surround_rig(batch: int, cameras: int, image: tuple[int, int]) -> CameraRig:
    """Cameras on a ring, 1.5 m above the ground, 70 degrees wide, looking outwards."""
    yaw = torch.arange(cameras) * (2 * math.pi / cameras)
    sin, cos, zero, one = yaw.sin(), yaw.cos(), torch.zeros(cameras), torch.ones(cameras)
    pose = torch.stack(  # columns: camera x (right), y (down), z (forward), position
        (sin, zero, cos, cos, -cos, zero, sin, sin, zero, -one, zero, 1.5 * one, zero, zero, zero, one),
        dim=-1,
    ).view(cameras, 4, 4)
    focal = image[1] / 2 / math.tan(math.radians(35))
    pinhole = torch.tensor([[focal, 0, image[1] / 2], [0, focal, image[0] / 2], [0, 0, 1]])
    return CameraRig(
        ego_from_cam=pose.repeat(batch, 1, 1, 1),
        pixel_from_cam=pinhole.repeat(batch, cameras, 1, 1),
        crop_from_pixel=torch.eye(3).repeat(batch, cameras, 1, 1),
        grid_from_ego=torch.eye(4).repeat(batch, 1, 1),
    )


def camera_points(
    size: Size, dtype: torch.dtype = torch.float32, device: str = "cpu", seed: int = 0
) -> tuple[Tensor, Tensor, Tensor]:
    """Context, depth distribution and index of a surround rig, as a view transformer makes them."""
    generator = torch.Generator().manual_seed(seed)
    h, w = (side // size.stride for side in size.image)
    context = torch.randn(size.batch, size.cameras, size.channels, h, w, generator=generator)
    weights = torch.randn(size.batch, size.cameras, size.bins, h, w, generator=generator).softmax(dim=2)
    depth, height, width = size.zyx
    grid = VoxelGrid((-40.0, -40.0, -1.0), (40.0, 40.0, 5.4), (width, height, depth))
    depths = 1 + 44 / size.bins * torch.arange(size.bins)
    points = lift_frustum(surround_rig(size.batch, size.cameras, size.image), frustum(*size.image, size.stride, depths))
    index = grid.continuous_index(points)
    return context.to(device, dtype), weights.to(device, dtype), index.to(device)
