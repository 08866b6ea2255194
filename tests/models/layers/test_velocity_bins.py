"""Velocities as classes: closed forms of targets and expectation."""

from __future__ import annotations

import pytest
import torch

from mmdet3d_plugin.errors import ConfigError
from mmdet3d_plugin.models.layers.velocity_bins import VelocityBins

PUBLISHED = VelocityBins(-22.0, 22.0, 0.5)


def test_published_bins():
    velocities = PUBLISHED.velocities()
    assert PUBLISHED.num == len(velocities) == 88
    assert velocities[[0, 44, 87]].tolist() == [-22.0, 0.0, 21.5]


def test_the_closest_bin_is_the_target_and_the_outermost_beyond_the_range():
    velocities = torch.tensor([-30.0, -22.0, -0.26, -0.24, 0.0, 0.2, 7.3, 21.5, 40.0])
    assert PUBLISHED.index(velocities).tolist() == [0, 0, 43, 44, 44, 44, 59, 87, 87]
    assert torch.equal(PUBLISHED.index(PUBLISHED.velocities()), torch.arange(88))


def test_expectation_of_one_bin_of_two_bins_and_of_all():
    bins = VelocityBins(-2.0, 2.0, 1.0)  # -2, -1, 0, 1
    logits = torch.full((1, 4, 3), -1e4)
    logits[0, 3, 0] = 0.0
    logits[0, [0, 3], 1] = 0.0
    logits[0, :, 2] = 0.0
    torch.testing.assert_close(bins.expectation(logits), torch.tensor([[1.0, -0.5, -0.5]]))


def test_expectation_has_the_gradient_of_a_softmax():
    bins = VelocityBins(-2.0, 2.0, 0.5)
    logits = torch.randn(2, 8, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(bins.expectation, logits)


def test_expectation_is_exact_under_autocast():
    logits = torch.randn(1, 88, 1000, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(PUBLISHED.expectation(logits), PUBLISHED.expectation(logits.double()).float())
        assert PUBLISHED.expectation(logits.bfloat16()).dtype == torch.float32


@pytest.mark.parametrize("values", [(0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (0.0, 1.0, -1.0), (0.0, 1.0)])
def test_empty_or_incomplete_bins_are_refused(values):
    with pytest.raises(ConfigError, match="velocity bins"):
        VelocityBins.from_config(values)
