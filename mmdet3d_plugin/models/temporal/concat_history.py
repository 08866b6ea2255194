"""Fusion of a volume with a window of past volumes (SoloFusion; spec/04 section 4.2)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...geometry.warp import warp_index_matrix, warp_volume
from ...registry import MODELS
from ...structures import Frame, Memory, Volume, VoxelGrid
from ...structures.grid import Anchor
from ..layers.checkpointing import run_checkpointed

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
        """
        volume.grid.require_match(self.grid, "the lifted volume", "ConcatHistory")
        with torch.no_grad():
            memory = self._recall(volume.features.detach(), frame, memory)
        ages = functional.pad(memory.frame_ages, (1, 0))
        window = torch.cat((volume.features, memory.features), dim=1)
        if self.activation_checkpointing:
            fused = run_checkpointed(self, self._fuse, window, ages)
        else:
            fused = self._fuse(window, ages)
        remembered = HistoryMemory(
            age=memory.age + 1,
            features=window[:, : memory.features.shape[1]].detach(),
            frame_ages=ages[:, : self.num_frames],
            grid_from_ego=frame.rig.grid_from_ego,
        )
        return Volume(fused, volume.grid), remembered

    def _recall(self, current: Tensor, frame: Frame, memory: HistoryMemory | None) -> HistoryMemory:
        """The past in the current pose, one frame older; copies of `current` where there is none."""
        grid_from_ego = frame.rig.grid_from_ego
        if memory is None:
            age = torch.zeros_like(frame.meta.sequence_id)
            frame_ages = torch.zeros(len(age), self.num_frames, device=current.device)
            memory = HistoryMemory(age, current, frame_ages, grid_from_ego)
        fresh = memory.age == 0
        moved = fresh & ~frame.meta.starts_sequence if self.warp_initial_copies else torch.zeros_like(fresh)
        remembered = memory.features.to(current.dtype).unflatten(1, (-1, current.shape[1]))
        past = torch.where(fresh.view(-1, 1, 1, 1, 1, 1), current[:, None], remembered)
        past = past.expand(-1, self.num_frames, -1, -1, -1, -1).flatten(1, 2)
        previous = torch.where(fresh[:, None, None], grid_from_ego, memory.grid_from_ego)
        resting = (fresh & ~moved)[:, None, None]
        motion = torch.where(resting, torch.eye(4).to(previous), frame.meta.prev_from_ego)
        matrix = warp_index_matrix(self.grid, previous, motion, grid_from_ego, self.anchor)
        ages = torch.where(fresh[:, None], moved[:, None].float(), memory.frame_ages + 1)
        return HistoryMemory(memory.age, warp_volume(past, matrix), ages, grid_from_ego)

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
