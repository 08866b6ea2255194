"""Matching the images of two key frames along depth hypotheses (BEVStereo; spec/02, "Stereo cost volume")."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import grid_sample

from ...geometry import frustum
from ...geometry.frustum import PixelAnchor
from ...registry import MODELS
from ...structures import CameraRig
from ..layers.depth_bins import DepthBins
from .depth_anchor import DepthAnchor, lifted_depths

Validity = Literal["projection", "zero_feature"]

_PENALTY = 5.0
_MIN_DEPTH = 1e-3
_OUTSIDE = -2.0


@MODELS.register_module()
class StereoCostVolume(nn.Module):
    """Compares every pixel with what the adjacent image shows at each depth hypothesis.

        cost(d) = sum over channels of |current - adjacent(projected at d)| + 5 * [projection is invalid]
        result  = softmax over d of -cost(d)

    It has no parameters and passes no gradient.

    Args:
        depth_bins: (start, stop, step) of the depth hypotheses, metres.
        validity: what makes a projection invalid. "projection": it lies behind the adjacent camera or
            outside of its image. "zero_feature": the fourth feature channel from the last is exactly zero
            there, as in the published models, where padding outside and a silent ReLU inside look the same
            (spec/99 A6).
        pixel_anchor: where the features sit in the image, see :func:`mmdet3d_plugin.geometry.frustum`.
        depth_anchor: where in its bin a depth hypothesis lies.
    """

    def __init__(
        self,
        depth_bins: tuple[float, float, float],
        validity: Validity = "projection",
        pixel_anchor: PixelAnchor = "centers",
        depth_anchor: DepthAnchor = "center",
    ) -> None:
        super().__init__()
        self.depth_bins = DepthBins.from_config(depth_bins)
        self.validity = validity
        self.pixel_anchor = pixel_anchor
        self.depth_anchor = depth_anchor

    @torch.no_grad()
    def forward(
        self,
        current: Tensor,
        adjacent: Tensor,
        rig: CameraRig,
        adjacent_from_cam: Tensor,
        image_size: tuple[int, int],
    ) -> Tensor:
        """Build the volume.

        Args:
            current: [B, N, C, h, w] features of the frame.
            adjacent: [B, N, C, h, w] features of the adjacent images; they share intrinsics and augmentation.
            rig: calibration.
            adjacent_from_cam: [B, N, 4, 4] camera frame to camera frame of the adjacent image, metres.
            image_size: (H, W) of the network input, pixels.

        Returns:
            [B * N, D, h, w] distribution over the depth hypotheses, float32.
        """
        with torch.autocast(current.device.type, enabled=False):
            stride = image_size[1] // current.shape[-1]
            current, adjacent = current.flatten(0, 1).float(), adjacent.flatten(0, 1).float()
            rays, shift = self._rays(rig, adjacent_from_cam, stride, image_size)
            crop = rig.crop_from_pixel.flatten(0, 1)
            costs = []
            for depth in lifted_depths(self.depth_bins, self.depth_anchor, device=current.device):
                position = self._position(rays * depth + shift, crop, image_size)
                costs.append(self._cost(current, adjacent, position.unflatten(1, current.shape[-2:])))
            return torch.stack(costs, dim=1).neg_().softmax(dim=1)

    def _rays(
        self, rig: CameraRig, adjacent_from_cam: Tensor, stride: int, image_size: tuple[int, int]
    ) -> tuple[Tensor, Tensor]:
        """Homogeneous pixels of the adjacent images are `rays * depth + shift`: [M, P, 3] and [M, 1, 3]."""
        ones = rig.ego_from_cam.new_ones(1)
        cells = frustum(*image_size, stride, ones, self.pixel_anchor).flatten(0, 2)
        source = torch.einsum("bnij,pj->bnpi", torch.linalg.inv(rig.crop_from_pixel), cells)
        turned = rig.pixel_from_cam @ adjacent_from_cam[..., :3, :3] @ torch.linalg.inv(rig.pixel_from_cam)
        rays = torch.einsum("bnij,bnpj->bnpi", turned, source)
        shift = torch.einsum("bnij,bnj->bni", rig.pixel_from_cam, adjacent_from_cam[..., :3, 3])
        return rays.flatten(0, 1), shift.flatten(0, 1)[:, None]

    def _position(self, image: Tensor, crop_from_pixel: Tensor, image_size: tuple[int, int]) -> Tensor:
        """Homogeneous pixels [M, P, 3] of the original image as `grid_sample` positions [M, P, 2]."""
        depth = image[..., 2:]
        pixel = image / depth.clamp(min=_MIN_DEPTH)
        pixel = torch.einsum("mij,mpj->mpi", crop_from_pixel, pixel)[..., :2]
        size = pixel.new_tensor(image_size[::-1])
        corners = self.pixel_anchor == "corners"
        position = 2 * pixel / (size - 1) - 1 if corners else (2 * pixel + 1) / size - 1
        return torch.where(depth >= _MIN_DEPTH, position, _OUTSIDE)

    def _cost(self, current: Tensor, adjacent: Tensor, position: Tensor) -> Tensor:
        """Matching cost [M, h, w] of features [M, C, h, w] with adjacent ones at `position` [M, h, w, 2]."""
        warped = grid_sample(adjacent, position, align_corners=self.pixel_anchor == "corners")
        outside = (position.abs() > 1).any(dim=-1)
        invalid = outside if self.validity == "projection" else warped[:, -4] == 0
        return warped.sub_(current).abs_().sum(dim=1) + _PENALTY * invalid
