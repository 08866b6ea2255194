"""Depth bins and the reduction of lidar maps to patches, in closed form (spec/02)."""

from __future__ import annotations

import pytest
import torch

from mmdet3d_plugin.errors import ConfigError
from mmdet3d_plugin.models.layers.depth_bins import DepthBins, closest_in_patches, labels_of_closest


@pytest.mark.parametrize(("bins", "count"), [((1.0, 45.0, 1.0), 44), ((1.0, 45.0, 0.5), 88), ((2.0, 42.0, 0.5), 80)])
def test_number_and_edges(bins: tuple[float, float, float], count: int) -> None:
    depth_bins = DepthBins.from_config(bins)
    edges = depth_bins.edges()
    assert depth_bins.num == len(edges) == count
    assert edges[0] == bins[0]
    assert edges[-1] == bins[1] - bins[2]


def test_bin_k_covers_its_half_open_interval() -> None:
    depth = torch.tensor([0.0, 0.5, 0.99, 1.0, 1.99, 2.0, 44.0, 44.99, 45.0, 60.0])
    expected = [-1, -1, -1, 0, 0, 1, 43, 43, -1, -1]
    assert DepthBins(1.0, 45.0, 1.0).index(depth).tolist() == expected


def test_depth_in_the_first_half_step_below_the_range_is_no_bin() -> None:
    """trunc rounds towards zero: numbers in (-1, 1) all become 0, which is no bin."""
    assert DepthBins(1.0, 5.0, 0.5).index(torch.tensor([0.01, 0.4, 0.6, 0.99])).tolist() == [-1] * 4


def test_closest_return_of_each_patch() -> None:
    depth = torch.zeros(1, 4, 4)
    depth[0, 0, 0], depth[0, 1, 1], depth[0, 0, 2], depth[0, 3, 3] = 7.0, 3.0, 4.0, 9.0
    assert closest_in_patches(depth, 2).tolist() == [[[3.0, 4.0], [0.0, 9.0]]]
    assert DepthBins(1.0, 8.0, 1.0).targets(depth, 2).tolist() == [[[2, 3], [-1, -1]]]


def test_label_of_the_closest_return() -> None:
    depth, labels = torch.zeros(2, 4), torch.full((2, 4), 255, dtype=torch.uint8)
    depth[0, 0], depth[1, 1], labels[0, 0], labels[1, 1] = 7.0, 3.0, 4, 5
    assert labels_of_closest(depth, labels, 2, ignore=255).tolist() == [[5, 255]]


def test_patches_must_divide_the_image() -> None:
    with pytest.raises(ValueError, match="do not divide"):
        closest_in_patches(torch.zeros(5, 4), 2)


def test_empty_range_is_refused() -> None:
    with pytest.raises(ConfigError, match="depth bins"):
        DepthBins(5.0, 1.0, 1.0)
