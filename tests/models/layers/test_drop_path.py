"""Stochastic depth."""

from __future__ import annotations

import pytest
import torch

from mmdet3d_plugin.models.layers.drop_path import DropPath, drop_rates


def test_a_sample_is_dropped_or_scaled_as_a_whole():
    torch.manual_seed(0)
    branch = torch.rand(1000, 2, 3) + 1
    out = DropPath(0.25).train()(branch)
    factors = (out / branch).flatten(1)
    torch.testing.assert_close(factors, factors[:, :1].expand_as(factors))
    kept = factors[:, 0] > 0
    torch.testing.assert_close(factors[kept], torch.full_like(factors[kept], 1 / 0.75))
    assert 0.7 < kept.float().mean() < 0.8


def test_evaluation_and_a_rate_of_zero_change_nothing():
    branch = torch.rand(4, 5)
    assert DropPath(0.9).eval()(branch) is branch
    assert DropPath(0.0).train()(branch) is branch


def test_rates_rise_linearly_from_zero():
    assert drop_rates(0.2, 5) == pytest.approx([0, 0.05, 0.1, 0.15, 0.2])
    assert drop_rates(0.2, 1) == [0]
