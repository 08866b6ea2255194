"""Recurrent fusion of a volume with the one volume that is remembered (GDFusion; spec/04 section 4.3)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...registry import MODELS
from ...structures import Memory
from .pointwise import folded, pointwise

KEY_FRAME_INTERVAL = 0.5  # seconds between key frames, as the published weights count time
_LONGEST_PERIOD = 10000.0


@dataclass
class VoxelMemory(Memory):
    """All past volumes fused into one; `age` counts the frames of the sequence.

    Attributes:
        features: [B, C, Z, Y, X], in the pose of the latest frame.
    """

    features: Tensor


def time_code(seconds: Tensor, channels: int) -> Tensor:
    """Sinusoids of a time (spec/04 section 4.3): sin and cos of t / 10000^(2 k / C), interleaved.

    Args:
        seconds: [B].
        channels: even number C.

    Returns:
        [B, C] float32.
    """
    pair = torch.arange(0, channels, 2, device=seconds.device, dtype=torch.float32)
    angle = seconds.float()[:, None] * _LONGEST_PERIOD ** (-pair / channels)
    return torch.stack((angle.sin(), angle.cos()), dim=-1).flatten(1)


@MODELS.register_module()
class RecurrentFusion(nn.Module):
    """Marks the present and the past with the time since the start of their sequence and fuses them.

        y = cat_conv([time_conv(current + e(n)), time_conv(past + e(max(n - 1, 0)))])

    with e a small network on :func:`time_code` of n key frames.

    Args:
        channels: channels of the volume, even; kept.
        is_bev: whether the volumes are bird's-eye-view maps.
    """

    def __init__(self, channels: int, is_bev: bool) -> None:
        super().__init__()
        self.is_bev = is_bev
        conv, norm = (nn.Conv2d, nn.BatchNorm2d) if is_bev else (nn.Conv3d, nn.BatchNorm3d)
        self.time_embedding = nn.Sequential(
            nn.Linear(channels, 2 * channels), nn.ReLU(inplace=True), nn.Linear(2 * channels, channels)
        )
        self.time_conv = conv(channels, channels, 1)
        self.time_norm = norm(channels)
        self.fuse_conv = conv(2 * channels, channels, 1)
        self.fuse_norm = norm(channels)

    def forward(self, current: Tensor, past: Tensor, age: Tensor) -> tuple[Tensor, VoxelMemory]:
        """Fuse a volume with the past.

        Args:
            current: [B, C, Z, Y, X] of the current frame.
            past: [B, C, Z, Y, X] remembered features, moved to the current pose.
            age: [B] int64 frames of the sequence before this one. A lane of age 0 has no past: it passes
                `current` on, and remembers what fusing it with its copy gives.

        Returns:
            the features for the next stage [B, C, Z, Y, X], and the memory of this frame.
        """
        times = torch.stack((age, (age - 1).clamp(min=0)), dim=1).flatten()
        codes = self.time_embedding(time_code(KEY_FRAME_INTERVAL * times, current.shape[1]))
        codes = codes.unflatten(0, (len(age), 2))
        together = self.training or torch.is_grad_enabled()
        fused = (self._fuse_at_once if together else self._fuse_one_by_one)(current, past, codes)
        # Gradients of lanes without a past reach the convolutions as zeros, so that every process has some.
        output = torch.where((age == 0).view(-1, 1, 1, 1, 1), current, fused)
        return output, VoxelMemory(age + 1, fused)

    def _fuse_at_once(self, current: Tensor, past: Tensor, codes: Tensor) -> Tensor:
        """Fuse [B, C, Z, Y, X] and as much with codes [B, 2, C]; statistics are over both frames together."""
        frames = torch.stack((current, past), dim=1).flatten(0, 1)
        frames = frames.squeeze(2) if self.is_bev else frames
        codes = codes.to(frames.dtype).flatten(0, 1)
        timed = self.time_conv(frames + codes.view(*codes.shape, *[1] * (frames.dim() - 2)))
        timed = functional.relu(self.time_norm(timed), inplace=True)
        fused = self.fuse_norm(self.fuse_conv(timed.unflatten(0, (len(current), 2)).flatten(1, 2)))
        fused = functional.relu(fused, inplace=True)
        return fused.unsqueeze(2) if self.is_bev else fused

    def _fuse_one_by_one(self, current: Tensor, past: Tensor, codes: Tensor) -> Tensor:
        """The same in evaluation, without stacking the frames."""
        timed_weight, timed_bias = folded(self.time_conv, self.time_norm)
        fused_weight, fused_bias = folded(self.fuse_conv, self.fuse_norm)
        shares = []
        for number, (frame, weight) in enumerate(zip((current, past), fused_weight.chunk(2, dim=1))):
            bias = codes[:, number].to(timed_bias) @ timed_weight.T + timed_bias
            timed = functional.relu(pointwise(frame, timed_weight, bias), inplace=True)
            shares.append(pointwise(timed, weight, None if number else fused_bias))
        return functional.relu(shares[0].add_(shares[1]), inplace=True)
