"""Calibrated cameras of one frame, as tensors."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .record import TensorRecord


@dataclass
class CameraRig(TensorRecord):
    """N calibrated pinhole cameras for each of B samples. All float32; metres and pixels.

    Attributes:
        ego_from_cam: [B, N, 4, 4] camera frame (x right, y down, z forward) to the frame of the volume before scene
            augmentation. Its name is `FrameMeta.frame`.
        pixel_from_cam: [B, N, 3, 3] intrinsics, pixels of the original image.
        crop_from_pixel: [B, N, 3, 3] image augmentation: affine map of homogeneous pixels (u, v, 1) of the original
            image to pixels of the network input.
        grid_from_ego: [B, 4, 4] scene augmentation (flips, rotation): volume frame to augmented volume frame.
    """

    ego_from_cam: Tensor
    pixel_from_cam: Tensor
    crop_from_pixel: Tensor
    grid_from_ego: Tensor

    @property
    def num_cameras(self) -> int:
        return self.ego_from_cam.shape[1]

    def unproject(self, pixels: Tensor, depth: Tensor) -> Tensor:
        """Lift points of the network input to the augmented volume frame, the same ones for every camera.

        Args:
            pixels: [P, 2] (u, v) of the network input.
            depth: [P] z-depth in metres.

        Returns:
            [B, N, P, 3] points in metres.
        """
        homogeneous = torch.cat((pixels, torch.ones_like(pixels[:, :1])), dim=-1)
        source = torch.einsum("bnij,pj->bnpi", torch.linalg.inv(self.crop_from_pixel), homogeneous)
        rays = torch.cat((source[..., :2], torch.ones_like(source[..., :1])), dim=-1) * depth[:, None]
        ego_from_image = self.ego_from_cam[..., :3, :3] @ torch.linalg.inv(self.pixel_from_cam)
        points = torch.einsum("bnij,bnpj->bnpi", ego_from_image, rays) + self.ego_from_cam[..., None, :3, 3]
        rotation, shift = self.grid_from_ego[:, :3, :3], self.grid_from_ego[:, None, None, :3, 3]
        return torch.einsum("bij,bnpj->bnpi", rotation, points) + shift

    def project(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Project points of the augmented volume frame into every camera.

        Args:
            points: [B, P, 3] in metres.

        Returns:
            pixels [B, N, P, 2] (u, v) of the network input, and depth [B, N, P] in metres. Points behind a camera
            have depth <= 0 and meaningless pixels.
        """
        cam_from_grid = torch.linalg.inv(self.grid_from_ego[:, None] @ self.ego_from_cam)
        cam = torch.einsum("bnij,bpj->bnpi", cam_from_grid[..., :3, :3], points) + cam_from_grid[..., None, :3, 3]
        image = torch.einsum("bnij,bnpj->bnpi", self.pixel_from_cam, cam)
        depth = cam[..., 2]
        safe = torch.where(depth.abs() < 1e-6, torch.full_like(depth, 1e-6), depth)
        pixel = torch.cat((image[..., :2] / safe[..., None], torch.ones_like(depth)[..., None]), dim=-1)
        return torch.einsum("bnij,bnpj->bnpi", self.crop_from_pixel, pixel)[..., :2], depth

