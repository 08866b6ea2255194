"""Soft filling: hand-computed shares, brute force, the slab of a bird's-eye view, gradients, invariances."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lifting_cases import random_points

from mmdet3d_plugin.ops import trilinear_splat, voxel_pool


def brute_force(context, weights, index, shape):
    """Every point against every voxel, by the definition with max(0, 1 - |r|)."""
    depth, height, width = shape
    z, y, x = torch.meshgrid(torch.arange(depth), torch.arange(height), torch.arange(width), indexing="ij")
    voxels = torch.stack((x, y, z), dim=-1).to(index.dtype)
    distance = index[..., None, None, None, :] - voxels  # [B, N, D, h, w, Z, Y, X, 3]
    share = (1 - distance.abs()).clamp(min=0).prod(dim=-1)
    return torch.einsum("bndij,bncij,bndijzyx->bczyx", weights, context, share)


def one_point(place):
    """One pixel with one bin, weight one and the feature one."""
    one = torch.ones(1, 1, 1, 1, 1, dtype=torch.float64)
    return one, one.clone(), torch.tensor(place, dtype=torch.float64).view(1, 1, 1, 1, 1, 3)


def test_by_hand():
    out = trilinear_splat(*one_point([1.25, 0.5, 0.0]), (2, 2, 4))[0, 0]
    expected = torch.zeros(2, 2, 4, dtype=torch.float64)
    expected[0] = torch.tensor([[0, 0.375, 0.125, 0], [0, 0.375, 0.125, 0]])
    torch.testing.assert_close(out, expected)


def test_shares_outside_of_the_grid_are_lost():
    corner = trilinear_splat(*one_point([-0.25, 3.5, 0.0]), (1, 4, 4))[0, 0, 0]
    expected = torch.zeros(4, 4, dtype=torch.float64)
    expected[3, 0] = 0.75 * 0.5
    torch.testing.assert_close(corner, expected)


@pytest.mark.parametrize(("z", "share"), [(-1.0, 0), (-0.25, 0.75), (0.0, 1), (0.25, 0.75), (0.9, 0.1), (1.5, 0)])
def test_birds_eye_view_weighs_points_by_height(z, share):
    # spec/99 A16: one slab whose only sample lies at the lower bound.
    assert trilinear_splat(*one_point([1.0, 1.0, z]), (1, 3, 3)).sum() == pytest.approx(share)


def test_equals_brute_force():
    context, weights, index = random_points()
    torch.testing.assert_close(
        trilinear_splat(context, weights, index, (3, 4, 5)), brute_force(context, weights, index, (3, 4, 5))
    )


def test_equals_hard_pooling_at_integer_coordinates():
    context, weights, index = random_points()
    index = index.floor()
    torch.testing.assert_close(
        trilinear_splat(context, weights, index, (3, 4, 5)), voxel_pool(context, weights, index, (3, 4, 5))
    )


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_mass_is_conserved_inside(seed):
    context, weights, index = random_points(margin=-0.5, seed=seed)  # 0.5 .. size - 0.5
    index = index.minimum(torch.tensor([4.0, 3.0, 2.0], dtype=index.dtype))  # the last sample is at size - 1
    total = trilinear_splat(context, weights, index, (3, 4, 5)).sum(dim=(2, 3, 4))
    torch.testing.assert_close(total, torch.einsum("bndij,bncij->bc", weights, context))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), shift=st.tuples(*[st.integers(-2, 2)] * 3))
def test_whole_voxels_shift_the_volume(seed, shift):
    context, weights, index = random_points(seed=seed)
    padded = (3 + 4, 4 + 4, 5 + 4)
    here = trilinear_splat(context, weights, index + 2, padded)
    there = trilinear_splat(context, weights, index + 2 + torch.tensor(shift, dtype=index.dtype), padded)
    rolled = here.roll(shift[::-1], dims=(2, 3, 4))
    inside = (..., slice(2, -2), slice(2, -2), slice(2, -2))
    torch.testing.assert_close(there[inside], rolled[inside])


def test_points_that_are_not_finite_have_no_gradient():
    for bad in (float("nan"), float("inf"), -float("inf"), 1e30):
        context, weights, index = random_points(batch=1)
        index[0, 0, 0, 0, 0, 1] = bad
        inputs = [t.requires_grad_() for t in (context, weights, index)]
        out = trilinear_splat(*inputs, (3, 4, 5))
        grads = torch.autograd.grad(out.square().sum(), inputs)
        assert all(torch.isfinite(t).all() for t in (out, *grads))
        assert (grads[2][0, 0, 0, 0, 0] == 0).all()


@pytest.mark.parametrize("empty", [{"bins": 0}, {"cameras": 0}, {"batch": 0}])
def test_no_points_make_an_empty_volume(empty):
    context, weights, index = random_points(**empty)
    out = trilinear_splat(context, weights, index, (3, 4, 5))
    assert out.shape == (context.shape[0], 3, 3, 4, 5)
    assert (out == 0).all()


def test_half_precision_sums_in_single():
    context = torch.ones(1, 1, 1, 1, 1024, dtype=torch.bfloat16)
    weights = torch.ones(1, 1, 1, 1, 1024, dtype=torch.bfloat16)
    out = trilinear_splat(context, weights, torch.full((1, 1, 1, 1, 1024, 3), 0.5), (2, 2, 2))
    assert out.dtype == torch.bfloat16
    assert (out == 128).all()


@pytest.mark.parametrize("zyx", [(3, 4, 5), (1, 4, 5)])
def test_gradcheck(zyx):
    context, weights, index = random_points(batch=1, zyx=zyx, cameras=1)
    index = index.floor() + 0.1 + 0.8 * (index - index.floor())  # away from the kinks at integers
    inputs = [t.requires_grad_() for t in (context, weights, index)]
    assert torch.autograd.gradcheck(lambda c, w, i: trilinear_splat(c, w, i, zyx), inputs)
