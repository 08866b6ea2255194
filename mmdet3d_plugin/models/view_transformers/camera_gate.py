"""Conditioning image features on the calibration of their camera."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...structures import CameraRig

CAMERA_VECTOR_LENGTH = 27


def camera_vector(rig: CameraRig) -> Tensor:
    """The numbers of a calibration that a depth network needs (spec/02, "camera vector").

    In order: fx, fy, cx, cy of the original image; rows (a00, a01, tx), (a10, a11, ty) of the image
    augmentation; entries (0,0), (0,1), (1,0), (1,1), (2,2) of the scene augmentation; the 3x4 matrix camera
    to volume frame, row by row. Pixels and metres.

    Returns:
        [B, N, 27] float32.
    """
    intrinsics = torch.stack(
        [rig.pixel_from_cam[..., row, column] for row, column in ((0, 0), (1, 1), (0, 2), (1, 2))], dim=-1
    )
    image = rig.crop_from_pixel[..., :2, :].flatten(-2)
    scene = torch.stack(
        [rig.grid_from_ego[..., row, column] for row, column in ((0, 0), (0, 1), (1, 0), (1, 1), (2, 2))],
        dim=-1,
    )
    scene = scene[:, None].expand(-1, rig.num_cameras, -1)
    return torch.cat((intrinsics, image, scene, rig.ego_from_cam[..., :3, :].flatten(-2)), dim=-1)


class CameraGate(nn.Module):
    """Weights channels by a function of the calibration (squeeze-and-excitation with the camera as input).

    Args:
        channels: channels of the features.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Linear(CAMERA_VECTOR_LENGTH, channels), nn.ReLU(inplace=True), nn.Linear(channels, channels)
        )
        self.gate = nn.Sequential(
            nn.Linear(channels, channels), nn.ReLU(inplace=True), nn.Linear(channels, channels), nn.Sigmoid()
        )

    def forward(self, features: Tensor, camera: Tensor) -> Tensor:
        """Weight features [M, C, h, w] by the calibration [M, 27] of their cameras; same shape."""
        return features * self.gate(self.mlp(camera))[..., None, None]
