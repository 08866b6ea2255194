"""Matching the images of two key frames along depth hypotheses (BEVStereo; spec/02, "Stereo cost volume")."""

from __future__ import annotations

import functools
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
_CACHED = 1 << 20  # numbers; warping all 256 channels before comparing them takes twice as long on a CPU


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
            rays = self._source_pixels(rig, stride, image_size)
            costs = []
            for depth in lifted_depths(self.depth_bins, self.depth_anchor, device=current.device):
                pixel, in_front = _project(rays * depth, rig, adjacent_from_cam)
                position = self._position(pixel, image_size).where(in_front, _OUTSIDE)
                position = position.flatten(0, 1).unflatten(1, current.shape[-2:])
                costs.append(self._cost(current, adjacent, position))
            return torch.stack(costs, dim=1).neg_().softmax(dim=1)

    def _source_pixels(self, rig: CameraRig, stride: int, image_size: tuple[int, int]) -> Tensor:
        """Homogeneous pixels (u, v, 1) of the original image under every feature, [B, N, h * w, 3]."""
        ones = rig.crop_from_pixel.new_ones(1)
        cells = frustum(*image_size, stride, ones, self.pixel_anchor).flatten(0, 2)
        shifted = cells[:, :2] - rig.crop_from_pixel[..., None, :2, 2]
        pixels = _apply(_inverse(rig.crop_from_pixel[..., :2, :2]), shifted)
        return torch.cat((pixels, torch.ones_like(pixels[..., :1])), dim=-1)

    def _position(self, pixel: Tensor, image_size: tuple[int, int]) -> Tensor:
        """Pixels [..., 2] of the network input as positions for `grid_sample`."""
        size = pixel.new_tensor(image_size[::-1])
        if self.pixel_anchor == "corners":
            return pixel / (size - 1) * 2 - 1
        return (2 * pixel + 1) / size - 1

    def _cost(self, current: Tensor, adjacent: Tensor, position: Tensor) -> Tensor:
        """Matching cost [M, h, w] of features [M, C, h, w] with adjacent ones at `position` [M, h, w, 2]."""

        def warped(features: Tensor) -> Tensor:
            return grid_sample(features, position, align_corners=self.pixel_anchor == "corners")

        cost = sum(
            warped(past).sub_(now).abs_().sum(dim=1)
            for now, past in zip(*(x.split(_channels_at_once(x), dim=1) for x in (current, adjacent)))
        )
        if self.validity == "projection":
            return cost + _PENALTY * (position.abs() > 1).any(dim=-1)
        return cost + _PENALTY * (warped(adjacent[:, -4:-3])[:, 0] == 0)


def _channels_at_once(features: Tensor) -> int:
    """Channels of [M, C, h, w] to warp at a time: all on a GPU, as many as stay in the caches of a CPU."""
    if features.device.type != "cpu":
        return features.shape[1]
    return max(1, _CACHED // features[:, 0].numel())


def _project(scaled: Tensor, rig: CameraRig, adjacent_from_cam: Tensor) -> tuple[Tensor, Tensor]:
    """Project points of the current cameras into the adjacent images.

    The steps and their order are the published ones: "zero_feature" looks at exact zeros, and where nothing
    has moved the rounding of every step decides on them.

    Args:
        scaled: [B, N, P, 3] points (u d, v d, d), pixels (u, v) of the original image.
        rig: calibration.
        adjacent_from_cam: [B, N, 4, 4].

    Returns:
        [B, N, P, 2] pixels of the network input, and [B, N, P, 1] whether they lie in front of the camera.
    """
    adjacent_from_pixel = adjacent_from_cam[..., :3, :3] @ _inverse(rig.pixel_from_cam)
    points = _apply(adjacent_from_pixel, scaled) + adjacent_from_cam[..., None, :3, 3]
    image = _apply(rig.pixel_from_cam, points)
    in_front = image[..., 2:] >= _MIN_DEPTH
    pixel = image[..., :2] / image[..., 2:].clamp(min=_MIN_DEPTH)
    pixel = _apply(rig.crop_from_pixel[..., :2, :2], pixel) + rig.crop_from_pixel[..., None, :2, 2]
    return pixel, in_front


def _inverse(matrix: Tensor) -> Tensor:
    """Inverse rounded once, from float64."""
    return torch.linalg.inv(matrix.double()).to(matrix.dtype)


def _apply(matrix: Tensor, points: Tensor) -> Tensor:
    """Matrices [..., K, K] times points [..., P, K], as a sum of columns: the same rounding everywhere."""
    columns = (matrix[..., None, :, axis] * points[..., axis, None] for axis in range(points.shape[-1]))
    return functools.reduce(torch.add, columns)
