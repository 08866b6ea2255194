"""The five stages of a network and what each takes and returns. A method is a choice of five classes.

A stage's memory is an argument and a result; no stage keeps state in `self`. A stage without memory takes
None and returns None. Stages have the same names in a :class:`TemporalState` as in :class:`OccupancyNetwork`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from ..structures import (
    Frame,
    Lifted,
    Memory,
    OccLabels,
    OccOutput,
    OccPrediction,
    OccTargets,
    TensorRecord,
    Volume,
    VoxelGrid,
)


@dataclass
class ImageFeatures(TensorRecord):
    """Output of an image encoder.

    Attributes:
        levels: [B, N, C, h, w] each, finest first. The last level is what is lifted (stride 16).
        adjacent: [B, N, C, h, w] features of `frame.adjacent.images` at the stride of `levels[0]`, without
            gradient; None where the frame has no adjacent images.
    """

    levels: tuple[Tensor, ...]
    adjacent: Tensor | None = None


@dataclass
class DepthGuidance(TensorRecord):
    """Ground-truth depth mixed into the lifted depth while training (geometry denoising, spec/02).

    Attributes:
        depth: [B, N, H, W] metres, 0 = none.
        rate: share of the ground truth, 1 = all, 0 = none; [B] or scalar tensor.
    """

    depth: Tensor
    rate: Tensor


@dataclass
class FlowGuidance(TensorRecord):
    """Ground-truth occupancy whose motion is mixed into the matching of a flow head while training (spec/06 6.2).

    Attributes:
        occupancy: [B, Z, Y, X] uint8 label ids of the data set, 255 = ignored.
        rate: share of the ground truth, 1 = all, 0 = none; [B] or scalar tensor.
    """

    occupancy: Tensor
    rate: Tensor


@dataclass
class Guidance(TensorRecord):
    """Ground truth that stages see in training; None = none.

    Attributes:
        depth: for the view transformer.
        flow: for the head.
    """

    depth: DepthGuidance | None = None
    flow: FlowGuidance | None = None


class ImageEncoder(Protocol):
    """Images [B, N, 3, H, W] to feature levels [B, N, C, h, w]."""

    def __call__(self, frame: Frame) -> ImageFeatures: ...


class ViewTransformer(Protocol):
    """Feature levels to a volume [B, C, Z, Y, X]; the guidance is given in training only."""

    def __call__(
        self,
        features: ImageFeatures,
        frame: Frame,
        memory: Memory | None,
        guidance: DepthGuidance | None = None,
    ) -> tuple[Lifted, Memory | None]: ...


class TemporalFuser(Protocol):
    """A volume [B, C, Z, Y, X] and what is remembered to a volume over the same grid."""

    def __call__(self, volume: Volume, frame: Frame, memory: Memory | None) -> tuple[Volume, Memory | None]: ...


class VolumeEncoder(Protocol):
    """A volume [B, C, Z, Y, X] to a volume over the same box, maybe with other channels and heights."""

    def __call__(self, volume: Volume) -> Volume: ...

    def output_grid(self, grid: VoxelGrid) -> VoxelGrid: ...


class OccHead(Protocol):
    """A volume [B, C, Z, Y, X] to raw scores, and raw scores to labels of the data set.

    The guidance is given in training only; heads that predict no motion need neither it nor a memory.
    """

    def __call__(
        self, volume: Volume, frame: Frame, memory: Memory | None, guidance: FlowGuidance | None = None
    ) -> tuple[OccPrediction, Memory | None]: ...

    def decode(self, prediction: OccPrediction) -> OccLabels: ...


class LossTerm(Protocol):
    """A loss returns named scalars; every one whose name contains "loss" is summed."""

    def __call__(self, output: OccOutput, targets: OccTargets) -> dict[str, Tensor]: ...
