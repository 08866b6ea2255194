"""Fusing what a pixel says about geometry with what earlier frames said (GDFusion; spec/04 section 4.6)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import grid_sample, one_hot

from ...errors import ConfigError
from ...geometry import frustum
from ...geometry.frustum import PixelAnchor
from ...registry import MODELS
from ...structures import CameraRig, Frame, Memory
from ..layers.depth_bins import DepthBins
from .depth_anchor import DepthAnchor, lifted_depths

LidarMemory = Literal["logits", "probabilities"]
Visibility = Literal["frustum", "nonzero"]

_MIN_DEPTH = 1e-3  # metres; behind it a point has no image
_CERTAINTY = 1 - 1e-4  # probability of the bin of a lidar return, as remembered


@dataclass
class GeometryMemory(Memory):
    """Fused logits of the latest frame.

    Attributes:
        logits: [B, N, D, h, w] over depth bins.
        crop_from_pixel: [B, N, 3, 3] image augmentation under which they were made.
    """

    logits: Tensor
    crop_from_pixel: Tensor


class Gate(nn.Module):
    """A share 0..1 per pixel for the first of two stacks of D channels.

    Args:
        channels: D.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(2 * channels, channels, 1), nn.ReLU(inplace=True), nn.Conv2d(channels, 1, 1)
        )

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Map two tensors [M, D, h, w] to [M, 1, h, w]."""
        return self.layers(torch.cat((first, second), dim=1)).sigmoid()


@MODELS.register_module()
class GeometryFusion(nn.Module):
    """Keeps logits over depth bins for every camera, moves them along with the cameras, and mixes them in.

        g = logits of this frame, G = remembered logits, warped
        fused = w G + (1 - w) g where G was seen, else g;     w = gate(G, g)
        geometry' = u P + (1 - u) geometry,  P = softmax(fused);  u = gate(P, geometry)

    Where a pixel has a lidar return, what is mixed is one-hot; the gate u sees the predicted geometry there too.

    Args:
        depth_bins: (start, stop, step) of the depth bins, metres.
        in_channels: channels of the features from which logits are predicted.
        pixel_anchor: where the features sit in the image, see :func:`mmdet3d_plugin.geometry.frustum`.
        depth_anchor: where in its bin a depth lies.
        lidar_memory: what is remembered of a pixel with a lidar return: "logits" of a distribution that is all
            but certain of its bin, or, as published, its one-hot "probabilities", which say next to nothing among
            logits (spec/99 A11).
        visibility: where the past was seen. "frustum": in cells of the previous frustum, to half a cell beyond
            the outermost ones. "nonzero": where the interpolated logit is not exactly zero, as published; up to a
            cell beyond the frustum, remembered logits then fade to zero instead of ending.
    """

    def __init__(
        self,
        depth_bins: tuple[float, float, float],
        in_channels: int,
        pixel_anchor: PixelAnchor = "centers",
        depth_anchor: DepthAnchor = "center",
        lidar_memory: LidarMemory = "logits",
        visibility: Visibility = "frustum",
    ) -> None:
        super().__init__()
        self.depth_bins = DepthBins.from_config(depth_bins)
        self.pixel_anchor = pixel_anchor
        self.depth_anchor = depth_anchor
        self.lidar_memory = lidar_memory
        self.visibility = visibility
        self.output = nn.Conv2d(in_channels, self.depth_bins.num, 1)
        self.memory_gate = Gate(self.depth_bins.num)
        self.geometry_gate = Gate(self.depth_bins.num)

    def forward(
        self, features: Tensor, geometry: Tensor, frame: Frame, memory: GeometryMemory | None, lidar: Tensor | None
    ) -> tuple[Tensor, GeometryMemory]:
        """Mix the past into the lifting weights.

        Args:
            features: [B * N, C, h, w] from which depth is predicted, too.
            geometry: [B, N, D, h, w] lifting weights so far.
            frame: calibration, and the motion of the cameras since the previous key frame.
            memory: of the previous frame; lanes of age 0 have none.
            lidar: [B, N, h, w] int64 bin of the lidar return of a pixel, -1 = none; None where the method takes
                no lidar.

        Returns:
            lifting weights [B, N, D, h, w], and the memory of this frame without gradient.

        Raises:
            ConfigError: the frame does not tell how the cameras moved.
            StreamError: the memory is of another rig or image size.
        """
        batch = geometry.shape[:2]
        if memory is not None:
            memory.require_shape("logits", geometry.shape, "GeometryFusion")
        logits = self.output(features).float()
        past, seen = self._recall(logits, frame, memory)
        share = self.memory_gate(past, logits).float()
        fused = torch.where(seen, share * past + (1 - share) * logits, logits)
        stored, known_geometry = fused.detach(), geometry.flatten(0, 1)
        if lidar is not None:
            known = (lidar >= 0).flatten(0, 1)[:, None]
            truth = one_hot(lidar.clamp(min=0), self.depth_bins.num).movedim(-1, 2).flatten(0, 1).to(logits)
            known_geometry = torch.where(known, truth.to(geometry.dtype), known_geometry)
            measured = torch.where(known, self._remembered(truth), logits.detach())
            stored = torch.where(seen, share.detach() * past + (1 - share.detach()) * measured, measured)
        probability = fused.softmax(dim=1)
        share = self.geometry_gate(probability, geometry.flatten(0, 1)).float()
        mixed = share * probability + (1 - share) * known_geometry
        age = torch.zeros_like(frame.meta.sequence_id) if memory is None else memory.age
        remembered = GeometryMemory(age + 1, stored.unflatten(0, batch), frame.rig.crop_from_pixel)
        return mixed.unflatten(0, batch), remembered

    def _remembered(self, truth: Tensor) -> Tensor:
        """What stands among logits [M, D, h, w] for a one-hot distribution."""
        if self.lidar_memory == "probabilities":
            return truth
        others = (1 - _CERTAINTY) / (truth.shape[1] - 1)
        return (truth * (_CERTAINTY - others) + others).log()

    @torch.no_grad()
    def _recall(self, logits: Tensor, frame: Frame, memory: GeometryMemory | None) -> tuple[Tensor, Tensor]:
        """Remembered logits seen from the current cameras [B * N, D, h, w], and where they were seen at all."""
        if memory is None:
            return torch.zeros_like(logits), torch.zeros_like(logits, dtype=torch.bool)
        if frame.adjacent is None:
            raise ConfigError(
                "the memory of geometry needs the motion of the cameras since the previous key frame",
                found="a frame without adjacent images",
                fix="set `load_adjacent=True` in the data set, or `geometry_fusion=None` in the depth network",
            )
        with torch.autocast(logits.device.type, enabled=False):
            image_size = (frame.images.shape[-2], frame.images.shape[-1])
            cells = self._cells(image_size, logits)
            points = _seen_before(cells, frame.rig, frame.adjacent.adjacent_from_cam, memory.crop_from_pixel)
            first, last = cells[0, 0, 0], cells[-1, -1, -1]
            position = ((points - first) / (last - first) * 2 - 1).flatten(0, 1)
            past, seen = self._look_up(memory.logits.flatten(0, 1).to(logits.dtype), position)
        old = (memory.age > 0).repeat_interleave(frame.rig.num_cameras).view(-1, 1, 1, 1)
        return past, seen & old

    def _look_up(self, logits: Tensor, position: Tensor) -> tuple[Tensor, Tensor]:
        """Logits [M, D, h, w] at positions [M, D, h, w, 3] in -1 .. 1, and where there are any."""
        padding = "border" if self.visibility == "frustum" else "zeros"
        past = grid_sample(logits[:, None], position, padding_mode=padding, align_corners=True)[:, 0]
        if self.visibility == "nonzero":
            return past, past != 0
        half_cell = position.new_tensor([1 / (size - 1) for size in logits.shape[:0:-1]])
        seen = (position.abs() <= 1 + half_cell).all(dim=-1)
        return torch.where(seen, past, 0.0), seen

    def _cells(self, image_size: tuple[int, int], logits: Tensor) -> Tensor:
        """Pixel and depth of every cell of one camera's frustum, [D, h, w, 3] (u, v, metres)."""
        depths = lifted_depths(self.depth_bins, self.depth_anchor, device=logits.device)
        return frustum(*image_size, image_size[1] // logits.shape[-1], depths, self.pixel_anchor)


def _seen_before(cells: Tensor, rig: CameraRig, previous_from_cam: Tensor, previous_crop: Tensor) -> Tensor:
    """Where the cells of the current frusta lie in the frusta of the previous frame.

    Args:
        cells: [D, h, w, 3] (u, v, depth) pixels of the network input, metres.
        rig: calibration of the current frame; the intrinsics of a camera do not change.
        previous_from_cam: [B, N, 4, 4] camera frame to that of the previous key frame, metres.
        previous_crop: [B, N, 3, 3] image augmentation of the previous frame.

    Returns:
        [B, N, D, h, w, 3] (u, v, depth); depth is not positive behind the previous camera.
    """
    pixel_from_crop = torch.linalg.inv(rig.crop_from_pixel.double() @ rig.pixel_from_cam.double())
    previous = previous_from_cam.double()
    crop_from_previous = previous_crop.double() @ rig.pixel_from_cam.double()
    matrix = (crop_from_previous @ previous[..., :3, :3] @ pixel_from_crop).to(cells)
    shift = (crop_from_previous @ previous[..., :3, 3:])[..., 0].to(cells)
    flat = cells.flatten(0, 2)
    scaled = torch.cat((flat[:, :2] * flat[:, 2:], flat[:, 2:]), dim=-1)
    moved = shift[..., None, :] + sum(matrix[..., None, :, axis] * scaled[:, axis, None] for axis in range(3))
    depth = moved[..., 2:]
    return torch.cat((moved[..., :2] / depth.clamp(min=_MIN_DEPTH), depth), dim=-1).unflatten(2, cells.shape[:3])
