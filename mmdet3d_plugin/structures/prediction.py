"""What a network predicts."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from .record import SHARED, TensorRecord
from .volume import DepthAux


@dataclass
class OccPrediction(TensorRecord):
    """Raw output of a head.

    Attributes:
        logits: [B, K, Z, Y, X], one channel per class as `ClassChannels` orders them.
        prototypes: [K, C] class queries in the space of the image context features, for heads that classify
            image features with the same queries; None otherwise. Not a batch: it is shared by all samples.
        flow: [B, 2, Z, Y, X] (v_x, v_y) in m/s, None for methods without flow.
        flow_logits: [B, K, 2, Z, Y, X] scores of K velocities for each component of `flow`.
    """

    logits: Tensor
    prototypes: Tensor | None = field(default=None, metadata=SHARED)
    flow: Tensor | None = None
    flow_logits: Tensor | None = None


@dataclass
class OccOutput(TensorRecord):
    """Output of a network: the prediction and the by-products that losses need."""

    prediction: OccPrediction
    aux: DepthAux | None = None


@dataclass
class OccLabels(TensorRecord):
    """A decoded prediction.

    Attributes:
        occupancy: [B, Z, Y, X] uint8 label ids of the data set.
        flow: [B, 2, Z, Y, X] float32 (v_x, v_y) in m/s, None where the method predicts none.
    """

    occupancy: Tensor
    flow: Tensor | None = None
