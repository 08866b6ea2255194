"""Kernels against references, forward and backward. `test_kernels.py` runs this in a process of its own."""

from __future__ import annotations

import os

import pytest
import torch
from lifting_cases import random_points

from mmdet3d_plugin.ops.trilinear_splat import kernel as splat_kernel
from mmdet3d_plugin.ops.trilinear_splat import reference as splat_reference
from mmdet3d_plugin.ops.voxel_pool import kernel as pool_kernel
from mmdet3d_plugin.ops.voxel_pool import reference as pool_reference

DEVICE = os.environ["OCCSTUDIO_KERNEL_DEVICE"]
OPS = {
    "pool_floor": (pool_kernel.voxel_pool, pool_reference.voxel_pool, ("floor",)),
    "pool_truncate": (pool_kernel.voxel_pool, pool_reference.voxel_pool, ("truncate",)),
    "splat": (splat_kernel.trilinear_splat, splat_reference.trilinear_splat, ()),
}
TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 1e-2}
CASES = {
    "random": {},
    "one_slab": {"zyx": (1, 4, 5)},
    "many_channels": {"batch": 1, "channels": 17},
    "all_duplicates": {"zyx": (1, 1, 1), "margin": 0.0},
    "all_outside": {"margin": -100.0},
    "no_bins": {"bins": 0},
    "no_batch": {"batch": 0},
    "one_of_each": {"batch": 1, "cameras": 1, "channels": 1, "bins": 1, "height": 1, "width": 1},
}


def run(op, inputs, shape, extra):
    """Output, and the gradients of what has one."""
    inputs = [t.clone().requires_grad_() for t in inputs]
    out = op(*inputs, shape, *extra)
    cotangent = torch.randn(out.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    grads = torch.autograd.grad(out, inputs, cotangent.to(out), allow_unused=True, materialize_grads=True)
    return [out.detach(), *grads]


@pytest.mark.parametrize("dtype", list(TOLERANCE), ids=str)
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", OPS)
def test_kernel_matches_reference(name, case, dtype):
    kernel, reference, extra = OPS[name]
    shape = CASES[case].get("zyx", (3, 4, 5))
    inputs = [t.to(DEVICE) for t in random_points(dtype=dtype, **CASES[case])]
    for ours, theirs in zip(run(kernel, inputs, shape, extra), run(reference, inputs, shape, extra)):
        assert ours.dtype == theirs.dtype
        torch.testing.assert_close(ours, theirs, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


@pytest.mark.parametrize("name", OPS)
def test_mixed_precision(name):
    kernel, reference, extra = OPS[name]
    context, weights, index = (t.to(DEVICE) for t in random_points(dtype=torch.float32))
    inputs = (context.bfloat16(), weights, index)
    for ours, theirs in zip(run(kernel, inputs, (3, 4, 5), extra), run(reference, inputs, (3, 4, 5), extra)):
        assert ours.dtype == theirs.dtype
        torch.testing.assert_close(ours, theirs, rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("name", OPS)
def test_points_that_are_not_finite(name):
    kernel, reference, extra = OPS[name]
    context, weights, index = (t.to(DEVICE) for t in random_points(batch=1))
    for position, bad in enumerate((float("nan"), float("inf"), -float("inf"), 1e30, -1e30)):
        index.view(-1, 3)[position, position % 3] = bad
    ours, theirs = (run(op, (context, weights, index), (3, 4, 5), extra) for op in (kernel, reference))
    for a, b in zip(ours, theirs):
        assert torch.isfinite(a).all()
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("name", OPS)
def test_strided_inputs(name):
    kernel, _, extra = OPS[name]
    context, weights, index = (t.to(DEVICE) for t in random_points())
    strided = (
        context.transpose(1, 2).contiguous().transpose(1, 2),
        weights.movedim(2, -1).contiguous().movedim(-1, 2),
        index.movedim(-1, 0).contiguous().movedim(0, -1),
    )
    for ours, theirs in zip(
        run(kernel, strided, (3, 4, 5), extra), run(kernel, (context, weights, index), (3, 4, 5), extra)
    ):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("name", OPS)
def test_the_compiler_sees_a_well_formed_operator(name):
    context, weights, index = (t.to(DEVICE).requires_grad_() for t in random_points(dtype=torch.float32))
    if name == "splat":
        torch.library.opcheck(splat_kernel._trilinear_splat, (context, weights, index, [3, 4, 5]))
    else:
        truncate = name == "pool_truncate"
        torch.library.opcheck(pool_kernel._voxel_pool, (context, weights, index, [3, 4, 5], truncate))
