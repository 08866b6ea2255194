"""Velocity as a class: the bins over which a flow head spreads each component (spec/06 section 6.2)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .equal_bins import EqualBins


@dataclass(frozen=True)
class VelocityBins(EqualBins):
    """Equally spaced velocities: bin i stands for start + i step, in m/s; `stop` is the end of the range and no bin."""

    quantity = "velocity"

    def velocities(self, *, device: torch.device | str = "cpu") -> Tensor:
        """Velocity of every bin, [K] float32 m/s."""
        return self.start + self.step * torch.arange(self.num, device=device, dtype=torch.float32)

    def index(self, velocity: Tensor) -> Tensor:
        """Bin closest to each finite velocity, int64 of the same shape; the outermost ones beyond the range."""
        return ((velocity - self.start) / self.step).round().clamp(0, self.num - 1).long()

    def expectation(self, logits: Tensor) -> Tensor:
        """Mean velocity of the softmax over the bins.

        Args:
            logits: [B, K, ...].

        Returns:
            [B, ...] m/s, in float32 also under autocast.
        """
        with torch.autocast(logits.device.type, enabled=False):
            scores = logits.to(torch.promote_types(logits.dtype, torch.float32))
            velocities = self.velocities(device=logits.device).to(scores.dtype)
            return torch.einsum("bk...,k->b...", scores.softmax(dim=1), velocities)
