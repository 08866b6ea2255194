"""Features in space."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from .grid import VoxelGrid
from .record import TensorRecord


@dataclass
class Volume(TensorRecord):
    """Dense features over a grid.

    Attributes:
        features: [B, C, Z, Y, X]; a bird's-eye-view map has Z == 1.
        grid: where the voxels are.
    """

    features: Tensor
    grid: VoxelGrid


@dataclass
class DepthAux(TensorRecord):
    """By-products of lifting that losses use.

    Attributes:
        depth: [B, N, D, h, w] predicted distribution over depth bins (sums to one over D).
        context: [B, N, C, h, w] image features before lifting.
    """

    depth: Tensor
    context: Tensor


@dataclass
class Lifted(TensorRecord):
    """Output of a view transformer."""

    volume: Volume
    aux: DepthAux | None = None
