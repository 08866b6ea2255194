"""The absence of a temporal stage."""

from __future__ import annotations

from torch import nn

from ...registry import MODELS
from ...structures import Frame, Memory, Volume


@MODELS.register_module()
class NoFusion(nn.Module):
    """Passes the volume on and remembers nothing, for single-frame methods."""

    def forward(self, volume: Volume, frame: Frame, memory: Memory | None) -> tuple[Volume, None]:
        """Return `volume` as it is, and no memory."""
        del frame, memory
        return volume, None
