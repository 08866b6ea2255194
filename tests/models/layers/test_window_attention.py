"""Windowed attention against attention written out pixel by pixel."""

from __future__ import annotations

import itertools

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from mmdet3d_plugin.models.layers.window_attention import (
    WindowAttention,
    merge,
    partition,
    relative_positions,
    shift_mask,
)


@given(st.integers(1, 3), st.integers(1, 4), st.integers(1, 3), st.integers(1, 3))
@settings(max_examples=20, deadline=None)
def test_merging_undoes_partitioning(images, window, rows, columns):
    x = torch.rand(images, rows * window, columns * window, 2)
    windows = partition(x, window)
    assert windows.shape == (images, rows * columns, window**2, 2)
    assert torch.equal(merge(windows, window, x.shape[1:3]), x)


def test_windows_and_their_pixels_come_row_by_row():
    x = torch.arange(16.0).view(1, 4, 4, 1)
    assert partition(x, 2)[0, :, :, 0].tolist() == [[0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 12, 13], [10, 11, 14, 15]]


def test_relative_positions_of_a_window_of_two():
    # Pixels 0 1 / 2 3; the bias table is a 3x3 grid of (dy, dx), number 4 is the pixel itself.
    assert relative_positions(2).tolist() == [[4, 3, 1, 0], [5, 4, 2, 1], [7, 6, 4, 3], [8, 7, 5, 4]]


@pytest.mark.parametrize("window", [3, 16])
def test_relative_positions_depend_on_the_difference_alone(window):
    index = relative_positions(window)
    differences = {}
    for a, b in itertools.product(range(window**2), repeat=2):
        key = (a // window - b // window, a % window - b % window)
        assert differences.setdefault(key, index[a, b].item()) == index[a, b]
    assert sorted(differences.values()) == list(range((2 * window - 1) ** 2))


def test_the_shift_mask_parts_what_came_from_the_other_side():
    mask = shift_mask((4, 4), 2, 1, torch.device("cpu"))
    assert mask.shape == (4, 4, 4)
    assert (mask[0] == 0).all()  # top left: all pixels are neighbours
    apart = torch.isinf(mask)
    assert apart[1].tolist() == [[a % 2 != b % 2 for b in range(4)] for a in range(4)]  # right: columns differ
    assert apart[2].tolist() == [[a // 2 != b // 2 for b in range(4)] for a in range(4)]  # below: lines differ
    assert apart[3].tolist() == [[a != b for b in range(4)] for a in range(4)]


def brute_force(net, x):
    """Every pixel attends to those whose window, and whose side of the border, are its own."""
    images, height, width, channels = x.shape
    window, shift, heads = net.window, net.shift, net.heads
    padded = [-(-n // window) * window for n in (height, width)]
    x = F.pad(x, (0, 0, 0, padded[1] - width, 0, padded[0] - height))
    query, key, value = net.qkv(x).unflatten(-1, (3, heads, -1)).unbind(3)

    def place(n, size):  # window and side of coordinate n, and its place in the window
        moved = (n - shift) % size
        return moved // window, n < shift, moved % window

    out = torch.zeros(images, *padded, heads, channels // heads, dtype=x.dtype)
    pixels = list(itertools.product(range(padded[0]), range(padded[1])))
    for m, (y, u) in itertools.product(range(images), pixels):
        here = place(y, padded[0]), place(u, padded[1])
        scores, values = [], []
        for v, w in pixels:
            there = place(v, padded[0]), place(w, padded[1])
            if [a[:2] for a in here] != [a[:2] for a in there]:
                continue
            dy, dx = here[0][2] - there[0][2], here[1][2] - there[1][2]
            bias = net.bias_table[(dy + window - 1) * (2 * window - 1) + dx + window - 1]
            product = (query[m, y, u] * key[m, v, w]).sum(-1) / (channels // heads) ** 0.5
            scores.append(product + bias)
            values.append(value[m, v, w])
        weights = torch.stack(scores).softmax(0)
        out[m, y, u] = (weights[..., None] * torch.stack(values)).sum(0)
    return net.output(out.flatten(3))[:, :height, :width]


@pytest.mark.parametrize("shift", [0, 1, 2])
@pytest.mark.parametrize("size", [(6, 3), (4, 5)])
def test_equals_brute_force(shift, size):
    torch.manual_seed(0)
    net = WindowAttention(4, 2, 3, shift).double()
    torch.nn.init.normal_(net.bias_table)
    torch.nn.init.normal_(net.qkv.bias)
    x = torch.randn(2, *size, 4, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(net(x), brute_force(net, x))


def test_shifted_windows_exchange_what_plain_ones_do_not():
    torch.manual_seed(0)
    x = torch.rand(1, 4, 4, 2)
    changed = x.clone()
    changed[0, 1, 2] += 1  # in the window at the top right
    for shift, reached in ((0, False), (1, True)):
        net = WindowAttention(2, 1, 2, shift)
        with torch.no_grad():
            differs = (net(x) != net(changed))[0, 1, 1].any().item()  # in the window at the top left
        assert differs == reached
