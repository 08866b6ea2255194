"""Mass that pixels pass on to image positions around them (ALOcc, inter-object transfer; spec/02)."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from ...errors import ConfigError
from ...registry import MODELS
from ...structures import TensorRecord

NeighbourBins = Literal["around_peak", "clamped_to_cameras"]

_NEIGHBOURS = (-1, 0, 1)  # along each image axis, and along depth
_CELLS = tuple(itertools.product(_NEIGHBOURS, _NEIGHBOURS))
_CENTRE = _CELLS.index((0, 0))
_STEP, _REACH = 4.0, 8.0  # pixels of the network input: scale and bound of a predicted shift


@dataclass
class TransferredMass(TensorRecord):
    """Points that are lifted besides those of the frusta: K for each feature pixel.

    Attributes:
        weights: [B, N, K, h, w] mass of every point.
        bins: [B, N, K, h, w] int64 depth bin of every point; -1 = there is no such bin, the point is dropped.
        shifts: [B, N, K, h, w, 2] shift (u, v) from the position of the feature pixel, pixels of the network
            input.
    """

    weights: Tensor
    bins: Tensor
    shifts: Tensor


@MODELS.register_module()
class InterObjectTransfer(nn.Module):
    """Every pixel passes mass of the bins around its peak on to eight positions around it.

        bins      = argmax over d of geometry(d), and the bin before and behind it
        mass      = geometry(bin) * sigmoid(weight of the position and bin)
        position  = pixel + clamp(4 * predicted shift of the position, -8, 8)

    Published weights and shifts also have a ninth, central position, which is never lifted (spec/02).

    Args:
        in_channels: channels of the features.
        neighbour_bins: "around_peak": the bins around the peak, without those beyond the first and the last
            bin. "clamped_to_cameras": as in the published models, which bound the bins by the number of
            cameras instead of that of bins, so that nearly all of the mass comes from bin 5 of six cameras
            (spec/99 A1, golden/README quirk 1).
    """

    def __init__(self, in_channels: int, neighbour_bins: NeighbourBins = "around_peak") -> None:
        super().__init__()
        if neighbour_bins not in ("around_peak", "clamped_to_cameras"):
            raise ConfigError(
                "InterObjectTransfer.neighbour_bins",
                found=neighbour_bins,
                expected="'around_peak' or 'clamped_to_cameras'",
            )
        self.neighbour_bins = neighbour_bins
        self.weight = nn.Conv2d(in_channels, len(_CELLS) * len(_NEIGHBOURS), 1)
        self.shift = nn.Conv2d(in_channels, len(_CELLS) * 2, 1)
        nn.init.kaiming_normal_(self.weight.weight)
        nn.init.zeros_(self.weight.bias)
        nn.init.kaiming_normal_(self.shift.weight)
        with torch.no_grad():
            self.shift.bias.copy_(torch.tensor(_CELLS, dtype=torch.float32).flatten())

    def forward(self, features: Tensor, geometry: Tensor) -> TransferredMass:
        """Compute the K = 24 points of every pixel: positions slowest, bins fastest.

        Args:
            features: [B * N, C, h, w] features that depth is predicted from, without those of stereo.
            geometry: [B, N, D, h, w] lifting weights.
        """
        return pass_on(geometry, self._bins(geometry), self.weight(features).float(), self.shift(features).float())

    def _bins(self, geometry: Tensor) -> Tensor:
        """The three bins of every pixel, [B, N, 3, h, w] int64; -1 = beyond an end."""
        peak = geometry.argmax(dim=2, keepdim=True)
        bins = torch.cat([peak + step for step in _NEIGHBOURS], dim=2)
        if self.neighbour_bins == "clamped_to_cameras":
            return bins.clamp(max=min(geometry.shape[1:3]) - 1)
        return bins.masked_fill(bins >= geometry.shape[2], -1)


def pass_on(geometry: Tensor, bins: Tensor, logits: Tensor, shifts: Tensor) -> TransferredMass:
    """The points that carry mass of three bins of every pixel to the positions around it.

    Args:
        geometry: [B, N, D, h, w] lifting weights.
        bins: [B, N, 3, h, w] int64 bins whose mass is passed on; -1 = none.
        logits: [B * N, 27, h, w] before the sigmoid, number of the position * 3 + number of the bin.
        shifts: [B * N, 18, h, w] in steps of four pixels, number of the position * 2 + (0 = u, 1 = v). Of the
            nine positions the fifth is the centre.

    Returns:
        K = 24 points of every pixel.
    """
    batch = geometry.shape[:2]
    share = _around(logits.sigmoid().unflatten(1, (len(_CELLS), len(_NEIGHBOURS)))).unflatten(0, batch)
    mass = geometry.gather(2, bins.clamp(min=0))[:, :, None] * share  # [B, N, 8, 3, h, w]
    shifts = _around((_STEP * shifts).clamp(-_REACH, _REACH).unflatten(1, (len(_CELLS), 2))).unflatten(0, batch)
    return TransferredMass(
        weights=mass.flatten(2, 3),
        bins=bins.repeat(1, 1, len(_CELLS) - 1, 1, 1),
        shifts=shifts.movedim(3, -1).repeat_interleave(len(_NEIGHBOURS), dim=2),
    )


def _around(cells: Tensor) -> Tensor:
    """The values [M, 8, ...] of all positions but the centre of [M, 9, ...]."""
    return torch.cat((cells[:, :_CENTRE], cells[:, _CENTRE + 1 :]), dim=1)
