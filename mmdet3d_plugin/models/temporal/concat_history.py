"""Fusion of a volume with a window of past volumes (SoloFusion; spec/04 section 4.2)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...geometry.warp import sample_volume, warp_index_matrix, warp_locations, warp_volume
from ...registry import MODELS
from ...structures import Frame, Memory, Volume, VoxelGrid
from ...structures.grid import Anchor
from ..layers.checkpointing import run_checkpointed
from .pointwise import folded, pointwise

KEY_FRAME_INTERVAL = 0.5  # seconds between key frames, as the published weights count time


@dataclass
class HistoryMemory(Memory):
    """The past T volumes, in the pose of the latest frame.

    Attributes:
        features: [B, T * C, Z, Y, X], newest first; re-sampled at every step.
        frame_ages: [B, T] float32, age of each volume in key frames when it was last fused. The copies that
            fill the window at the start of a sequence age with it.
        grid_from_ego: [B, 4, 4] scene augmentation of the latest frame.
    """

    features: Tensor
    frame_ages: Tensor
    grid_from_ego: Tensor


@dataclass
class _Past:
    """What a frame starts from.

    Attributes:
        age: [B] of the memory.
        features: [B, T * C, Z, Y, X] of the previous frames in the pose of the last one, or [B, C, Z, Y, X] where
            nothing is remembered; lanes of age 0 are ignored.
        frame_ages: [B, T] of the volumes, in key frames.
        matrix: [B, 4, 4] index in `features` from index in the current volume.
    """

    age: Tensor
    features: Tensor
    frame_ages: Tensor
    matrix: Tensor


@MODELS.register_module()
class ConcatHistory(nn.Module):
    """Warps the past volumes to the current pose, marks their age, and fuses all by 1x1 convolutions.

    Args:
        channels: channels of the volume, kept.
        grid: the grid of the volume.
        num_frames: volumes remembered, T.
        anchor: where in its voxel an index sits when the past is warped; published: "corner" (spec/99 A7).
        warp_initial_copies: where nothing is remembered of a running sequence, treat the copies of the
            current volume that fill the window as if they were of the previous frame: displaced by the motion
            of the ego vehicle, and one key frame old. Published models did so while they were trained without
            history (spec/99 A8).
        activation_checkpointing: recompute the activations of the convolutions in the backward pass.
    """

    def __init__(
        self,
        channels: int,
        grid: VoxelGrid | dict,
        num_frames: int = 16,
        anchor: Anchor = "center",
        warp_initial_copies: bool = False,
        activation_checkpointing: bool = False,
    ) -> None:
        super().__init__()
        self.grid = VoxelGrid.from_config(grid)
        self.num_frames = num_frames
        self.anchor: Anchor = anchor
        self.warp_initial_copies = warp_initial_copies
        self.activation_checkpointing = activation_checkpointing
        conv, norm = (nn.Conv2d, nn.BatchNorm2d) if self.grid.is_bev else (nn.Conv3d, nn.BatchNorm3d)
        self.time_conv = conv(channels + 1, channels, 1)
        self.time_norm = norm(channels)
        self.fuse_conv = conv(channels * (num_frames + 1), channels, 1)
        self.fuse_norm = norm(channels)

    def forward(self, volume: Volume, frame: Frame, memory: HistoryMemory | None) -> tuple[Volume, HistoryMemory]:
        """Fuse features [B, C, Z, Y, X] with the past.

        Args:
            volume: of the current frame, over the grid of this stage.
            frame: its motion and scene augmentation.
            memory: of the previous frame; lanes of age 0 start with copies of the current volume.

        Returns:
            the fused volume, and the memory of this frame without gradient.

        Raises:
            ConfigError: the volume lies over another grid.
            StreamError: the memory is of another one.
        """
        volume.grid.require_match(self.grid, "the lifted volume", "ConcatHistory")
        with torch.no_grad():
            past = self._recall(volume.features.detach(), frame, memory)
        if self.training or torch.is_grad_enabled():
            fused, remembered = self._fuse_at_once(volume.features, past)
        else:
            fused, remembered = self._fuse_one_by_one(volume.features, past)
        ages = functional.pad(past.frame_ages, (1, 0))[:, : self.num_frames]
        return Volume(fused, volume.grid), HistoryMemory(past.age + 1, remembered, ages, frame.rig.grid_from_ego)

    def _recall(self, current: Tensor, frame: Frame, memory: HistoryMemory | None) -> _Past:
        """The past, one frame older and not moved yet; copies of `current` where there is none."""
        grid_from_ego = frame.rig.grid_from_ego
        if memory is None:
            age = torch.zeros_like(frame.meta.sequence_id)
            frame_ages = torch.zeros(len(age), self.num_frames, device=current.device)
            memory = HistoryMemory(age, current, frame_ages, grid_from_ego)
        else:
            batch, channels, *zyx = current.shape
            memory.require_shape("features", (batch, self.num_frames * channels, *zyx), "ConcatHistory")
        fresh = memory.age == 0
        moved = fresh & ~frame.meta.starts_sequence if self.warp_initial_copies else torch.zeros_like(fresh)
        previous = torch.where(fresh[:, None, None], grid_from_ego, memory.grid_from_ego)
        resting = (fresh & ~moved)[:, None, None]
        motion = torch.where(resting, torch.eye(4).to(previous), frame.meta.prev_from_ego)
        matrix = warp_index_matrix(self.grid, previous, motion, grid_from_ego, self.anchor)
        ages = torch.where(fresh[:, None], moved[:, None].float(), memory.frame_ages + 1)
        return _Past(memory.age, memory.features.to(current.dtype), ages, matrix)

    def _fuse_at_once(self, current: Tensor, past: _Past) -> tuple[Tensor, Tensor]:
        """Move the whole window and fuse it: for training, where the normalisation looks at all frames together.

        Returns:
            the fused features [B, C, Z, Y, X], and those to remember, [B, T * C, Z, Y, X].
        """
        with torch.no_grad():
            remembered = past.features.unflatten(1, (-1, current.shape[1]))
            fresh = (past.age == 0).view(-1, 1, 1, 1, 1, 1)
            source = torch.where(fresh, current.detach()[:, None], remembered)
            source = source.expand(-1, self.num_frames, -1, -1, -1, -1).flatten(1, 2)
            moved = warp_volume(source, past.matrix)
        window = torch.cat((current, moved), dim=1)
        ages = functional.pad(past.frame_ages, (1, 0))
        if self.activation_checkpointing:
            fused = run_checkpointed(self, self._fuse, window, ages)
        else:
            fused = self._fuse(window, ages)
        return fused, window[:, : moved.shape[1]].detach()

    def _fuse_one_by_one(self, current: Tensor, past: _Past) -> tuple[Tensor, Tensor]:
        """The same in evaluation, frame by frame: beside both memories only a few volumes exist at a time."""
        channels = current.shape[1]
        fresh = (past.age == 0).view(-1, 1, 1, 1, 1)
        locations = warp_locations(past.matrix, self.grid.zyx)
        timed_weight, timed_bias = folded(self.time_conv, self.time_norm)
        fused_weight, fused_bias = folded(self.fuse_conv, self.fuse_norm)
        seconds = KEY_FRAME_INTERVAL * functional.pad(past.frame_ages, (1, 0)).to(timed_bias)
        remembered = current.new_empty(len(current), self.num_frames * channels, *current.shape[2:])
        fused, moved = None, current
        for number, weight in enumerate(fused_weight.split(channels, dim=1)):
            if number:
                copies = past.features.shape[1] == channels
                source = past.features if copies else past.features[:, (number - 1) * channels : number * channels]
                moved = sample_volume(torch.where(fresh, current, source), locations)
            if number < self.num_frames:
                remembered[:, number * channels : (number + 1) * channels] = moved
            bias = timed_bias + seconds[:, number, None] * timed_weight[:, -1]
            timed = functional.relu(pointwise(moved, timed_weight[:, :-1], bias), inplace=True)
            share = pointwise(timed, weight)
            # Not summed in half precision under autocast: one convolution over the window would not either.
            fused = share.to(torch.promote_types(share.dtype, torch.float32)) if fused is None else fused.add_(share)
        fused = fused.add_(fused_bias.view(-1, 1, 1, 1)).relu_()
        return fused.to(share.dtype), remembered

    def _fuse(self, window: Tensor, ages: Tensor) -> Tensor:
        """Fuse [B, (T + 1) * C, Z, Y, X] with ages [B, T + 1] in key frames to [B, C, Z, Y, X]."""
        if self.grid.is_bev:
            window = window.squeeze(2)
        frames = window.unflatten(1, (self.num_frames + 1, -1)).flatten(0, 1)
        # The last input channel is the constant age: adding its contribution spares a copy of the window.
        weight = self.time_conv.weight
        seconds = KEY_FRAME_INTERVAL * ages.to(weight.dtype).flatten()
        convolve = functional.conv2d if self.grid.is_bev else functional.conv3d
        timed = convolve(frames, weight[:, :-1], self.time_conv.bias)
        timed = timed + (seconds[:, None] * weight[:, -1].flatten()).view(*timed.shape[:2], *[1] * (timed.dim() - 2))
        timed = functional.relu(self.time_norm(timed), inplace=True)
        fused = self.fuse_norm(self.fuse_conv(timed.unflatten(0, (len(ages), -1)).flatten(1, 2)))
        fused = functional.relu(fused, inplace=True)
        return fused.unsqueeze(2) if self.grid.is_bev else fused
