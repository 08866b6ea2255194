"""Depth losses in closed form (spec/02 "Depth losses")."""

from __future__ import annotations

import math

import pytest
import torch

from mmdet3d_plugin.errors import ConfigError
from mmdet3d_plugin.models.losses import DepthBinaryCrossEntropy, DepthCrossEntropy
from mmdet3d_plugin.structures import DepthAux, OccOutput, OccPrediction, OccTargets

BINS = (1.0, 5.0, 1.0)
NO_LOGITS = torch.zeros(1, 18, 1, 1, 1)


def output(depth: torch.Tensor) -> OccOutput:
    return OccOutput(OccPrediction(NO_LOGITS), DepthAux(depth, depth[:, :, :2]))


def one_camera(*rows: tuple[float, float, float, float]) -> torch.Tensor:
    """[1, 1, 4, 1, w] distributions, one per patch of a row."""
    return torch.tensor(rows).T[None, None, :, None]


def lidar(*depths: float) -> torch.Tensor:
    """[1, 1, 2, 2 w] map with one return per patch of 2 x 2."""
    image = torch.zeros(1, 1, 2, 2 * len(depths))
    image[0, 0, 1, ::2] = torch.tensor(depths)
    return image


def test_cross_entropy_is_the_mean_over_patches_with_a_return() -> None:
    depth = one_camera((0.1, 0.2, 0.3, 0.4), (0.7, 0.1, 0.1, 0.1), (0.25, 0.25, 0.25, 0.25))
    loss = DepthCrossEntropy(BINS)(output(depth), OccTargets(depth=lidar(3.2, 1.0, 0.0)))["loss_depth"]
    assert loss.item() == pytest.approx(-(math.log(0.3) + math.log(0.7)) / 2, rel=1e-6)


def test_cross_entropy_of_an_impossible_bin_is_finite() -> None:
    depth = one_camera((1.0, 0.0, 0.0, 0.0))
    loss = DepthCrossEntropy(BINS)(output(depth), OccTargets(depth=lidar(4.5)))["loss_depth"]
    assert loss.item() == pytest.approx(-math.log(1e-8), rel=1e-6)


def test_binary_cross_entropy_is_summed_over_bins() -> None:
    depth = one_camera((0.1, 0.2, 0.3, 0.4), (0.7, 0.1, 0.1, 0.1))
    loss = DepthBinaryCrossEntropy(BINS, weight=0.05)(output(depth), OccTargets(depth=lidar(3.2, 0.0)))
    expected = -(math.log(0.9) + math.log(0.8) + math.log(0.3) + math.log(0.6))
    assert loss["loss_depth"].item() == pytest.approx(0.05 * expected, rel=1e-6)


@pytest.mark.parametrize("term", [DepthCrossEntropy(BINS), DepthBinaryCrossEntropy(BINS, 1.0)])
def test_no_return_costs_nothing_and_stays_differentiable(term: torch.nn.Module) -> None:
    depth = one_camera((0.1, 0.2, 0.3, 0.4)).requires_grad_()
    loss = term(output(depth), OccTargets(depth=lidar(0.0)))["loss_depth"]
    assert loss.item() == 0.0
    loss.backward()


def test_other_bins_than_the_network_are_refused() -> None:
    depth = one_camera((0.1, 0.2, 0.3, 0.4))
    with pytest.raises(ConfigError, match="depth bins"):
        DepthCrossEntropy((1.0, 5.0, 0.5))(output(depth), OccTargets(depth=lidar(2.0)))
