"""Hard pooling: hand-computed sums, brute force, boundaries, gradients."""

from __future__ import annotations

import pytest
import torch
from lifting_cases import random_points

from mmdet3d_plugin.ops import describe_backends, use_reference, voxel_pool
from mmdet3d_plugin.ops.backend import runs_kernel


def brute_force(context, weights, index, shape, rounding):
    """One point at a time."""
    batch, cameras, bins, height, width = weights.shape
    out = torch.zeros(batch, context.shape[2], *shape, dtype=torch.float64)
    for b, n, d, i, j in torch.cartesian_prod(
        *(torch.arange(s) for s in (batch, cameras, bins, height, width))
    ).tolist():
        place = index[b, n, d, i, j]
        x, y, z = (place.floor() if rounding == "floor" else place.trunc()).long().tolist()
        if 0 <= x < shape[2] and 0 <= y < shape[1] and 0 <= z < shape[0]:
            out[b, :, z, y, x] += weights[b, n, d, i, j] * context[b, n, :, i, j]
    return out


def one_point(place, weight=1.0):
    """One pixel with one bin and the features (1, 10)."""
    context = torch.tensor([1.0, 10.0]).view(1, 1, 2, 1, 1)
    return context, torch.full((1, 1, 1, 1, 1), weight), torch.tensor(place).view(1, 1, 1, 1, 1, 3)


def test_by_hand():
    # Two pixels, two bins. The near bins fall into voxel (x=1, y=0), the far ones into (2, 1) and outside.
    context = torch.tensor([[1.0, 2.0], [10.0, 20.0]]).view(1, 1, 2, 1, 2)
    weights = torch.tensor([[0.25, 0.5], [0.75, 0.5]]).view(1, 1, 2, 1, 2)
    index = torch.tensor([[[1.2, 0.9, 0.0], [1.9, 0.0, 0.5]], [[2.0, 1.0, 0.0], [3.0, 1.0, 0.0]]]).view(
        1, 1, 2, 1, 2, 3
    )
    out = voxel_pool(context, weights, index, (1, 2, 3))
    expected = torch.zeros(1, 2, 1, 2, 3)
    expected[0, :, 0, 0, 1] = torch.tensor([0.25 * 1 + 0.5 * 2, 0.25 * 10 + 0.5 * 20])
    expected[0, :, 0, 1, 2] = torch.tensor([0.75, 7.5])
    torch.testing.assert_close(out, expected)


@pytest.mark.parametrize("rounding", ["floor", "truncate"])
def test_equals_brute_force(rounding):
    context, weights, index = random_points()
    out = voxel_pool(context, weights, index, (3, 4, 5), rounding)
    torch.testing.assert_close(out, brute_force(context, weights, index, (3, 4, 5), rounding))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_truncation_folds_one_voxel_below_the_lower_bound(axis):
    place = [0.5, 0.5, 0.5]
    for coordinate, floor, truncate in (
        (-0.001, 0, 1),
        (-0.999, 0, 1),
        (-1.0, 0, 0),
        (0.0, 1, 1),
        (2.0, 0, 0),
    ):
        place[axis] = coordinate
        point = one_point(place)
        assert voxel_pool(*point, (2, 2, 2), "floor").sum() == 11 * floor
        assert voxel_pool(*point, (2, 2, 2), "truncate").sum() == 11 * truncate


def test_points_that_are_not_finite_are_dropped():
    for bad in (float("nan"), float("inf"), -float("inf"), 1e30, -1e30):
        context, weights, index = one_point([0.5, bad, 0.5])
        weights.requires_grad_()
        out = voxel_pool(context, weights, index, (1, 1, 1))
        assert (out == 0).all()
        assert (torch.autograd.grad(out.sum(), weights)[0] == 0).all()


@pytest.mark.parametrize("empty", [{"bins": 0}, {"cameras": 0}, {"batch": 0}])
def test_no_points_make_an_empty_volume(empty):
    context, weights, index = random_points(**empty)
    out = voxel_pool(context, weights, index, (3, 4, 5))
    assert out.shape == (context.shape[0], 3, 3, 4, 5)
    assert (out == 0).all()


def test_a_grid_that_sees_nothing_has_zero_gradient():
    context, weights, index = random_points()
    out = voxel_pool(context.requires_grad_(), weights.requires_grad_(), index + 100, (3, 4, 5))
    for grad in torch.autograd.grad(out.sum(), (context, weights)):
        assert (grad == 0).all()


def test_half_precision_sums_in_single():
    # bfloat16 has 8 bits: adding ones one by one would stop at 256.
    context = torch.ones(1, 1, 1, 1, 1024, dtype=torch.bfloat16)
    weights = torch.ones(1, 1, 1, 1, 1024, dtype=torch.bfloat16)
    out = voxel_pool(context, weights, torch.zeros(1, 1, 1, 1, 1024, 3), (1, 1, 1))
    assert out.dtype == torch.bfloat16
    assert out.item() == 1024


def test_autocast_changes_nothing():
    context, weights, index = random_points(dtype=torch.float32)
    plain = voxel_pool(context, weights, index, (3, 4, 5))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(voxel_pool(context, weights, index, (3, 4, 5)), plain, rtol=0, atol=0)


@pytest.mark.parametrize("rounding", ["floor", "truncate"])
def test_gradcheck(rounding):
    context, weights, index = random_points(batch=1)
    assert torch.autograd.gradcheck(
        lambda c, w: voxel_pool(c, w, index, (3, 4, 5), rounding),
        (context.requires_grad_(), weights.requires_grad_()),
    )


def test_refuses_shapes_that_do_not_go_together():
    context, weights, index = random_points()
    with pytest.raises(ValueError, match=r"context is .*expected \[B, N, C, h, w\]"):
        voxel_pool(context[0], weights, index, (3, 4, 5))
    with pytest.raises(ValueError, match="weights is"):
        voxel_pool(context, weights[:, :1], index, (3, 4, 5))
    with pytest.raises(ValueError, match="index is"):
        voxel_pool(context, weights, index[..., :2], (3, 4, 5))
    with pytest.raises(ValueError, match="shape is"):
        voxel_pool(context, weights, index, (0, 4, 5))
    with pytest.raises(ValueError, match="'floor' or 'truncate'"):
        voxel_pool(context, weights, index, (3, 4, 5), "round")


def test_the_device_selects_the_implementation(monkeypatch):
    from mmdet3d_plugin.ops import backend

    class OnCuda:
        is_cuda = True

    monkeypatch.setattr(backend, "_TRITON", True)
    assert not runs_kernel(torch.zeros(1))
    assert runs_kernel(OnCuda())
    with use_reference():
        assert not runs_kernel(OnCuda())
        with use_reference():
            assert not runs_kernel(OnCuda())
        assert not runs_kernel(OnCuda())
    assert runs_kernel(OnCuda())
    monkeypatch.setattr(backend, "_TRITON", False)
    assert not runs_kernel(OnCuda())
    assert set(describe_backends()) == {"cpu", "cuda"}
