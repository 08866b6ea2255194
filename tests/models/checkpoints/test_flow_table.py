"""Published flow branches count (v_y, v_x) and order kernels [Y, X, Z]; ours (v_x, v_y) and [Z, Y, X]."""

from __future__ import annotations

import torch

from mmdet3d_plugin.models.checkpoints.tables import ALOCC
from mmdet3d_plugin.models.heads import CostVolumeFlow
from mmdet3d_plugin.models.layers.velocity_bins import VelocityBins

BINS = (-2.0, 2.0, 1.0)


def convert(key: str, tensor: torch.Tensor) -> torch.Tensor:
    (ours,) = ALOCC.match({f"alocc_head.{key}": tensor}).state.values()
    return ours


def test_components_change_places_bin_by_bin():
    published = torch.arange(8.0)  # bin 0: (v_y, v_x), bin 1: (v_y, v_x), ...
    assert convert("flow_predicter.2.bias", published).tolist() == [1, 0, 3, 2, 5, 4, 7, 6]
    weight = convert("flow_predicter.2.weight", published.view(8, 1, 1, 1, 1).expand(8, 3, 1, 1, 1))
    assert weight[:, 2].flatten().tolist() == [1, 0, 3, 2, 5, 4, 7, 6]


def test_a_published_velocity_along_x_is_read_as_one_along_x():
    published = torch.full((4, 2), -1e4)
    published[3, 1] = published[0, 0] = 0.0  # v_x = 1, v_y = -2 m/s
    logits = convert("flow_predicter.2.bias", published.flatten()).view(1, 4, 2)
    assert VelocityBins(*BINS).expectation(logits).tolist() == [[1.0, -2.0]]


def test_kernels_are_turned():
    head = CostVolumeFlow(5, BINS, cost_channels=3)
    published = torch.zeros(5, 8, 3, 3, 3)
    published[0, 0, 2, 1, 0] = 1.0  # ahead along y, behind along z
    kernel = convert("flow_post_conv.0.weight", published)
    assert kernel.shape == head.merge.weight.shape
    assert kernel[0, 0].nonzero().tolist() == [[0, 2, 1]]
