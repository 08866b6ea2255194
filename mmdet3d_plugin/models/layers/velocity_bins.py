"""Velocity as a class: the bins over which a flow head spreads each component (spec/06 section 6.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ...errors import ConfigError


@dataclass(frozen=True)
class VelocityBins:
    """Equally spaced velocities: bin i stands for start + i step, in m/s.

    Attributes:
        start, stop: first velocity, and the end of the range, which is no bin itself; m/s.
        step: distance of two bins, m/s.
    """

    start: float
    stop: float
    step: float

    def __post_init__(self) -> None:
        if self.step <= 0 or self.stop - self.start < self.step:
            raise ConfigError(
                "the velocity bins are empty",
                found=self,
                expected="step > 0 and stop - start >= step",
                fix="(start, stop, step)",
            )

    @classmethod
    def from_config(cls, cfg: VelocityBins | Sequence[float]) -> VelocityBins:
        """Build from a config value `(start, stop, step)`, or pass bins through.

        Raises:
            ConfigError: there are not three values, or no bin.
        """
        if isinstance(cfg, cls):
            return cfg
        if len(cfg) != 3:  # type: ignore[arg-type]
            raise ConfigError("velocity bins are three numbers", found=cfg, expected="(start, stop, step) in m/s")
        return cls(*cfg)  # type: ignore[misc]

    @property
    def num(self) -> int:
        """Number of bins K."""
        return int((self.stop - self.start) / self.step + 1e-9)

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
