"""Calibrated cameras of one frame, as tensors."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .record import TensorRecord

NEAR = 1e-6  # metres; a smaller depth is taken for this one where a projection divides by it


@dataclass
class CameraRig(TensorRecord):
    """N calibrated pinhole cameras for each of B samples. All float32; metres and pixels.

    Attributes:
        ego_from_cam: [B, N, 4, 4] camera frame (x right, y down, z forward) to the frame of the volume before
            scene augmentation. Its name is `FrameMeta.frame`.
        pixel_from_cam: [B, N, 3, 3] intrinsics, pixels of the original image; last row (0, 0, 1).
        crop_from_pixel: [B, N, 3, 3] image augmentation: affine map of homogeneous pixels (u, v, 1) of the
            original image to pixels of the network input; last row (0, 0, 1).
        grid_from_ego: [B, 4, 4] scene augmentation (flips, rotation): volume frame to augmented volume frame.
    """

    ego_from_cam: Tensor
    pixel_from_cam: Tensor
    crop_from_pixel: Tensor
    grid_from_ego: Tensor

    @property
    def num_cameras(self) -> int:
        return self.ego_from_cam.shape[1]

    def _grid_from_image(self) -> tuple[Tensor, Tensor]:
        """M [B, N, 3, 3], t [B, N, 3], float64: pixel (u, v) at depth d is the point M (u d, v d, d) + t."""
        grid_from_cam = self.grid_from_ego[:, None].double() @ self.ego_from_cam.double()
        crop_from_cam = self.crop_from_pixel.double() @ self.pixel_from_cam.double()
        return grid_from_cam[..., :3, :3] @ torch.linalg.inv(crop_from_cam), grid_from_cam[..., :3, 3]

    def unproject(self, pixels: Tensor, depth: Tensor) -> Tensor:
        """Lift points of the network input to the augmented volume frame.

        Args:
            pixels: [P, 2] (u, v) of the network input for every camera, or [B, N, P, 2] with their own for
                each.
            depth: [P] or [B, N, P] z-depth in metres.

        Returns:
            [B, N, P, 3] points in metres.
        """
        matrix, shift = self._grid_from_image()
        scaled = torch.cat((pixels, torch.ones_like(pixels[..., :1])), dim=-1) * depth[..., None]
        return _affine(matrix.to(scaled.dtype), shift.to(scaled.dtype), scaled)

    def project(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Project points of the augmented volume frame into every camera.

        Args:
            points: [B, P, 3] in metres.

        Returns:
            pixels [B, N, P, 2] (u, v) of the network input, and depth [B, N, P] in metres. Points behind a
            camera have depth <= 0 and meaningless pixels.
        """
        matrix, shift = self._grid_from_image()
        inverse = torch.linalg.inv(matrix)
        offset = -(inverse @ shift[..., None])[..., 0]
        image = _affine(inverse.to(points.dtype), offset.to(points.dtype), points[:, None])
        depth = image[..., 2]
        divisor = torch.where(depth.abs() < NEAR, torch.full_like(depth, NEAR), depth)
        return image[..., :2] / divisor[..., None], depth


def _affine(matrix: Tensor, shift: Tensor, points: Tensor) -> Tensor:
    """M p + t of [..., 3, 3], [..., 3] and [..., P, 3].

    Written as three scaled columns: a matrix product would run in half precision under autocast, and
    coordinates must not.
    """
    columns = matrix[..., None, :, :].unbind(-1)
    products = (column * points[..., axis, None] for axis, column in enumerate(columns))
    return sum(products, start=shift[..., None, :])
