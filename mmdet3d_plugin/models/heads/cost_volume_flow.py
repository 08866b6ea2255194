"""Velocity of every voxel, from where its bird's-eye view was a frame ago (ALOccFlow; spec/06 section 6.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...errors import ConfigError
from ...geometry.warp import warp_index_matrix, warp_volume
from ...registry import MODELS
from ...structures import Frame, LabelSpace, Memory, Volume, VoxelGrid, label_space
from ...structures.grid import Anchor
from ..layers.velocity_bins import VelocityBins
from ..protocols import FlowGuidance

MatchValidity = Literal["grid", "zero_feature"]

_RADIUS, _DILATION = 5, 2  # offsets along an axis: -5 .. 5, in units of two coarse cells
_COARSENING = 2  # a coarse cell is two cells of the volume wide
_TEMPERATURE = 0.1
_PENALTY = 5.0
_MIN_NORM = 1e-8


@dataclass
class FlowMemory(Memory):
    """Bird's-eye views of the latest frame.

    Attributes:
        features: [B, C, 1, Y, X] of the volume.
        grid_from_ego: [B, 4, 4] scene augmentation they were made under.
        truth: [B, K, 1, Y, X] of the true classes (:func:`class_shares`), None where no guidance was given.
    """

    features: Tensor
    grid_from_ego: Tensor
    truth: Tensor | None = None


@MODELS.register_module()
class CostVolumeFlow(nn.Module):
    """Matches the bird's-eye view with the previous one, and turns matches and features into velocities.

    The match is a distribution over 11 x 11 offsets, computed at half resolution and without gradient; offset
    (i, j) of the previous map lies 2 (i - 5) coarse cells along y and 2 (j - 5) along x away from the cell.

    Args:
        in_channels: channels of the encoded volume.
        bins: (start, stop, step) of the velocities, m/s.
        labels: name of the label space.
        cost_channels: channels of the encoded match.
        hidden_channels: width of the perceptron per voxel.
        heights: (first, last + 1) slots along z whose mean is the bird's-eye view.
        anchor: where in its voxel an index sits when the past is warped; published: "corner" (spec/99 A7).
        validity: which offsets have nothing to match and cost more. "grid": the previous map ends before
            them. "zero_feature": the channels there sum to exactly zero, as in the published models, which
            see neither the end of the map nor features that cancel.
    """

    def __init__(
        self,
        in_channels: int,
        bins: tuple[float, float, float],
        labels: str | LabelSpace = "OpenOcc",
        cost_channels: int = 24,
        hidden_channels: int = 96,
        heights: tuple[int, int] = (3, 9),
        anchor: Anchor = "center",
        validity: MatchValidity = "grid",
    ) -> None:
        super().__init__()
        self.bins = VelocityBins.from_config(bins)
        self.space = label_space(labels)
        self.heights = slice(*heights)
        self.anchor: Anchor = anchor
        self.validity = validity
        self.cost_conv = nn.Conv2d((2 * _RADIUS + 1) ** 2, cost_channels, 3, padding=1)
        self.cost_norm = nn.BatchNorm2d(cost_channels)
        self.merge = nn.Conv3d(in_channels + cost_channels, in_channels, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.classifier = nn.Sequential(
            nn.Conv3d(in_channels, hidden_channels, 1),
            nn.ReLU(inplace=True),
            nn.Conv3d(hidden_channels, 2 * self.bins.num, 1),
        )

    def forward(
        self, volume: Volume, frame: Frame, memory: FlowMemory | None, guidance: FlowGuidance | None = None
    ) -> tuple[Tensor, FlowMemory]:
        """Score the velocity bins of every voxel.

        Args:
            volume: encoded features [B, C, Z, Y, X].
            frame: motion and scene augmentation.
            memory: of the previous frame; lanes of age 0 are matched with themselves.
            guidance: true classes; their match replaces the share `rate` of the match of the features. Lanes
                whose previous true classes are not known are left alone.

        Returns:
            logits [B, K, 2, Z, Y, X] of the bins of (v_x, v_y) in m/s, and the memory of this frame without
            gradient.

        Raises:
            ConfigError: the volume has fewer heights than the bird's-eye view needs.
            StreamError: the memory is of another grid or batch size.
        """
        with torch.no_grad(), torch.autocast(volume.features.device.type, enabled=False):
            match, memory = self._match(volume, frame, memory, guidance)
        size = volume.features.shape[-2:]
        cost = self.cost_norm(self.cost_conv(match.to(volume.features.dtype)))
        cost = functional.interpolate(cost, size, mode="bilinear", align_corners=True).to(volume.features.dtype)
        cost = cost[:, :, None].expand(-1, -1, volume.features.shape[2], -1, -1)
        merged = self.relu(self.merge(torch.cat((cost, volume.features), dim=1)))
        logits: Tensor = self.classifier(merged)
        return logits.unflatten(1, (self.bins.num, 2)), memory

    def velocity(self, logits: Tensor) -> Tensor:
        """Expected velocity [B, 2, Z, Y, X] (v_x, v_y) in m/s of logits [B, K, 2, Z, Y, X]."""
        if torch.is_grad_enabled():
            return self.bins.expectation(logits)
        # A height at a time: the probabilities of all would take as much memory as the logits once more.
        return torch.cat([self.bins.expectation(slab) for slab in logits.split(1, dim=3)], dim=2)

    def _match(
        self, volume: Volume, frame: Frame, memory: FlowMemory | None, guidance: FlowGuidance | None
    ) -> tuple[Tensor, FlowMemory]:
        """Distribution [B, 121, Y', X'] over the offsets at half resolution, and the new memory."""
        grid = plane_grid(volume.grid, self.heights)
        current = _plane(volume.features, self.heights).float()
        truth = None
        if guidance is not None:
            truth = class_shares(guidance.occupancy, self.space, self.heights)
        grid_from_ego = frame.rig.grid_from_ego
        if memory is None:
            age = torch.zeros_like(frame.meta.sequence_id)
            memory = FlowMemory(age, current, grid_from_ego, truth)
        memory.require_shape("features", current.shape, "CostVolumeFlow")
        fresh = memory.age == 0
        lanes = fresh.view(-1, 1, 1)
        previous_from_grid = torch.where(lanes, grid_from_ego, memory.grid_from_ego)
        motion = torch.where(lanes, torch.eye(4).to(frame.meta.prev_from_ego), frame.meta.prev_from_ego)
        matrix = warp_index_matrix(grid, previous_from_grid, motion, grid_from_ego, self.anchor)
        cost = self._cost(current, memory.features, fresh, matrix)
        if guidance is not None and truth is not None:
            known = fresh if memory.truth is None else torch.ones_like(fresh)
            true_cost = self._cost(truth, truth if memory.truth is None else memory.truth, fresh, matrix)
            rate = (guidance.rate.float().expand(len(known)) * known).view(-1, 1, 1, 1)
            cost = rate * true_cost + (1 - rate) * cost
        return (-cost).softmax(dim=1), FlowMemory(memory.age + 1, current.detach(), grid_from_ego, truth)

    def _cost(self, current: Tensor, remembered: Tensor, fresh: Tensor, matrix: Tensor) -> Tensor:
        """Costs [B, 121, Y', X'] of matching maps [B, C, 1, Y, X], the remembered one in its own pose."""
        previous = torch.where(fresh.view(-1, 1, 1, 1, 1), current, remembered.to(current.dtype))
        previous = _coarse(warp_volume(previous, matrix))
        if self.validity == "zero_feature":
            valid = previous.sum(dim=1, keepdim=True) != 0
        else:
            valid = _coarse(warp_volume(torch.ones_like(current[:, :1]), matrix)) > 0
        return matching_cost(_coarse(current), previous, valid)


def matching_cost(current: Tensor, previous: Tensor, valid: Tensor) -> Tensor:
    """Cost of every offset between two maps (spec/06 section 6.2).

        cost(o) = -cos(current at p, previous at p + o) / 0.1 + 5 * [previous is not valid at p + o]

    Args:
        current, previous: [B, C, Y, X].
        valid: [B, 1, Y, X] bool of `previous`; outside of the map nothing is.

    Returns:
        [B, 121, Y, X]; offset i * 11 + j is (2 (i - 5), 2 (j - 5)) cells along (y, x).
    """
    reach, (height, width) = _RADIUS * _DILATION, current.shape[-2:]
    margins = (reach, reach, reach, reach)
    current = functional.normalize(current, dim=1, eps=_MIN_NORM)
    previous = functional.pad(functional.normalize(previous, dim=1, eps=_MIN_NORM), margins)
    penalty = functional.pad(torch.where(valid[:, 0], 0.0, _PENALTY).to(current.dtype), margins, value=_PENALTY)
    shifts = range(0, 2 * reach + 1, _DILATION)
    costs = current.new_empty(len(current), len(shifts) ** 2, height, width)
    # One offset at a time: all neighbours at once would hold 121 copies of the map.
    for number, (y, x) in enumerate((y, x) for y in shifts for x in shifts):
        window = (..., slice(y, y + height), slice(x, x + width))
        similarity = (current * previous[window]).sum(dim=1)
        costs[:, number] = penalty[window] - similarity / _TEMPERATURE
    return costs


def class_shares(occupancy: Tensor, space: LabelSpace, heights: slice) -> Tensor:
    """How often each class occurs in the slots `heights` of every column.

    Args:
        occupancy: [B, Z, Y, X] uint8 label ids; ignored voxels count as one more class.
        space: the label space.
        heights: slots along z.

    Returns:
        [B, num_classes + 1, 1, Y, X] float32, of sum one.
    """
    classes = space.num_classes + 1
    ids = occupancy[:, heights].long()
    ids = torch.where(ids == space.ignore, space.num_classes, ids)
    counts = torch.zeros(len(ids), classes, *ids.shape[2:], device=ids.device)
    counts.scatter_add_(1, ids, torch.ones_like(ids, dtype=counts.dtype))
    return counts[:, :, None] / ids.shape[1]


def plane_grid(grid: VoxelGrid, heights: slice) -> VoxelGrid:
    """The slots `heights` of a grid as one slab.

    Raises:
        ConfigError: the grid has no such slots.
    """
    if not 0 <= heights.start < heights.stop <= grid.shape[2]:
        raise ConfigError(
            "CostVolumeFlow averages heights that the volume does not have",
            found=f"heights=({heights.start}, {heights.stop}), {grid.shape[2]} voxels along z",
            expected="0 <= first < last + 1 <= number of voxels along z",
            fix="set heights=(first, last + 1) of the flow head",
        )
    (x, y, bottom), (far_x, far_y, _), size = grid.lower, grid.upper, grid.voxel_size[2]
    lower, upper = (x, y, bottom + heights.start * size), (far_x, far_y, bottom + heights.stop * size)
    return VoxelGrid(lower, upper, (*grid.shape[:2], 1))


def _plane(features: Tensor, heights: slice) -> Tensor:
    """Mean over slots along z of [B, C, Z, Y, X], [B, C, 1, Y, X]."""
    return features[:, :, heights].mean(dim=2, keepdim=True)


def _coarse(plane: Tensor) -> Tensor:
    """[B, C, 1, Y, X] at half the resolution, [B, C, Y', X']."""
    size = [max(1, n // _COARSENING) for n in plane.shape[-2:]]
    return functional.interpolate(plane[:, :, 0], size, mode="bilinear", align_corners=True)
