"""Where in its bin a depth lies when it is lifted."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from ..layers.depth_bins import DepthBins

DepthAnchor = Literal["center", "edge"]


def lifted_depths(bins: DepthBins, anchor: DepthAnchor, *, device: torch.device | str = "cpu") -> Tensor:
    """Depth of every bin, [D] float32 metres.

    Args:
        bins: the depth bins.
        anchor: "center" of the bin, or its near "edge" as in the published models, which therefore lift
            half a bin too close to the camera (spec/02).
        device: where to create the tensor.
    """
    edges = bins.edges(device=device)
    return edges + bins.step / 2 if anchor == "center" else edges
