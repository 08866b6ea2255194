"""Where moving things were: a field of offsets, corrected by what is remembered (GDFusion; spec/04 section 4.4)."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ...registry import MODELS
from ...structures import Memory

STEP, GRADIENT_LIMIT, OFFSET_LIMIT = 0.1, 20.0, 20.0  # of the published models; offsets in voxels


@dataclass
class MotionMemory(Memory):
    """Offsets of the latest frame.

    Attributes:
        offsets: [B, m, Z, Y, X] (x, y) or (x, y, z) in voxels.
    """

    offsets: Tensor


def interpolate_with_slope(field: Tensor, locations: Tensor) -> tuple[Tensor, Tensor]:
    """A field interpolated linearly, and the slope of the interpolant.

    Neighbours outside of the field are replaced by the border cell, so that the slope across the border is zero.

    Args:
        field: [B, C, Z, Y, X].
        locations: [B, Z', Y', X', m] in index units, (x, y) or (x, y, z).

    Returns:
        [B, C, Z', Y', X'] values, and [B, C, m, Z', Y', X'] slopes along the m axes.
    """
    axes = locations.shape[-1]
    sizes, strides = field.shape[:1:-1][:axes], (1, field.shape[-1], field.shape[-1] * field.shape[-2])
    lower = locations.floor()
    far = (locations - lower).unbind(-1)  # weight of the upper neighbour on each axis
    cells = [[(lower[..., a] + side).clamp(0, sizes[a] - 1).long() for side in (0, 1)] for a in range(axes)]
    flat, shape = field.flatten(2), locations.shape[1:-1]
    value = field.new_zeros(*field.shape[:2], *shape)
    slope = field.new_zeros(*field.shape[:2], axes, *shape)
    for corner in itertools.product((0, 1), repeat=axes):
        index = sum(cells[a][side] * strides[a] for a, side in enumerate(corner)).flatten(1)
        neighbour = flat.gather(2, index[:, None].expand(-1, flat.shape[1], -1)).unflatten(2, shape)
        weights = [far[a] if side else 1 - far[a] for a, side in enumerate(corner)]
        for a, side in enumerate(corner):
            others = math.prod(weights[:a] + weights[a + 1 :])
            slope[:, :, a] += (others if side else -others)[:, None] * neighbour
        value += math.prod(weights)[:, None] * neighbour
    return value, slope


def inner_gradient(predicted: Tensor, remembered: Tensor, locations: Tensor) -> Tensor:
    """Gradient of the disagreement between predicted and remembered offsets (spec/04 section 4.4).

        L(p) = mean over the m components of (s(q + p) - p)^2
        dL/dp_j = 2 / m * sum over c of (s_c - p_c) (ds_c/dp_j - [c = j])

    Args:
        predicted: [B, m, Z, Y, X] offsets p in voxels.
        remembered: [B, m, Z, Y, X] field s.
        locations: [B, Z, Y, X, m] where q + p lies in the field.

    Returns:
        [B, m, Z, Y, X].
    """
    value, slope = interpolate_with_slope(remembered, locations)
    rest = value - predicted
    return 2 / predicted.shape[1] * ((rest[:, :, None] * slope).sum(dim=1) - rest)


@MODELS.register_module()
class MotionField(nn.Module):
    """Predicts for every voxel where its content was besides the motion of the ego vehicle, and lets the offsets
    of the previous frame correct the prediction by one gradient step.

    The network starts at zero: at first history is moved by the ego motion only.

    Args:
        channels: channels of the volume.
        is_bev: whether the volumes are bird's-eye-view maps, which move along (x, y) only.
        rotate_offsets: keep remembered offsets pointing in the same direction of the world when the axes of the
            grid turn or flip between frames. Published models keep their components.
    """

    def __init__(self, channels: int, is_bev: bool, rotate_offsets: bool = True) -> None:
        super().__init__()
        self.axes = 2 if is_bev else 3
        self.rotate_offsets = rotate_offsets
        self.offset = nn.Conv3d(channels, self.axes, 1)
        nn.init.zeros_(self.offset.weight)
        nn.init.zeros_(self.offset.bias)

    def forward(
        self, current: Tensor, locations: Tensor, matrix: Tensor, memory: MotionMemory | None
    ) -> tuple[Tensor, MotionMemory]:
        """Move the locations at which the past is sampled.

        Args:
            current: [B, C, Z, Y, X] features of the current frame.
            locations: [B, Z, Y, X, 3] (x, y, z) in the previous volume, by the motion of the ego vehicle.
            matrix: [B, 4, 4] that made them, previous index from current index.
            memory: offsets of the previous frame; lanes of age 0 have none.

        Returns:
            the moved locations [B, Z, Y, X, 3], and the memory. The gradient step is a constant for
            backpropagation, only the prediction receives a gradient.
        """
        with torch.autocast(current.device.type, enabled=False):  # half precision is too coarse for coordinates
            offsets = self.offset(current.to(locations.dtype)).clamp(-OFFSET_LIMIT, OFFSET_LIMIT)
            age = torch.zeros(len(current), dtype=torch.int64, device=current.device)
            if memory is not None:
                age = memory.age
                offsets = offsets - self._step(offsets.detach(), locations, memory)
            kept = offsets.detach()
            stored = self._in_current_axes(kept, matrix) if self.rotate_offsets else kept
        moved = torch.cat((locations[..., : self.axes] + offsets.movedim(1, -1), locations[..., self.axes :]), dim=-1)
        return moved, MotionMemory(age + 1, stored)

    @torch.no_grad()
    def _step(self, predicted: Tensor, locations: Tensor, memory: MotionMemory) -> Tensor:
        """The correction [B, m, Z, Y, X] to subtract; none in new lanes, and where the past lies outside of what is
        remembered.
        """
        where = locations[..., : self.axes] + predicted.movedim(1, -1)
        gradient = inner_gradient(predicted, memory.offsets.to(predicted), where)
        last = where.new_tensor(predicted.shape[:1:-1][: self.axes]) - 1
        valid = ((where >= 0) & (where <= last)).all(dim=-1) & (memory.age > 0).view(-1, 1, 1, 1)
        return torch.where(valid[:, None], STEP * gradient.clamp_(-GRADIENT_LIMIT, GRADIENT_LIMIT), 0.0)

    def _in_current_axes(self, offsets: Tensor, matrix: Tensor) -> Tensor:
        """Offsets [B, m, Z, Y, X] along the axes of the previous grid, along those of the current grid instead."""
        current_from_previous = torch.linalg.inv(matrix[:, : self.axes, : self.axes].double()).to(offsets.dtype)
        return (current_from_previous @ offsets.flatten(2)).unflatten(2, offsets.shape[2:])
