"""The kernel against the reference, forward and backward. `test_deformable_convolution_v4.py` runs this in a process
of its own."""

from __future__ import annotations

import os

import pytest
import torch
from deformable_cases import random_samples

from mmdet3d_plugin.ops.deformable_convolution_v4 import kernel, reference

DEVICE = os.environ["OCCSTUDIO_KERNEL_DEVICE"]
TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 2e-2}
CASES = {
    "random": {},
    "zero_offsets": {"spread": 0.0},
    "whole_pixels": {"spread": 0.0, "shift": 1.0},
    "all_outside": {"spread": 1.0, "shift": -100.0},
    "one_pixel": {"images": 1, "height": 1, "width": 1, "groups": 1, "channels": 1},
    "many_channels": {"images": 1, "channels": 17},
    "no_images": {"images": 0},
    "no_rows": {"height": 0},
}


def run(op, inputs, scale=1.0):
    """Output and the gradient of every input."""
    inputs = [t.clone().requires_grad_() for t in inputs]
    out = op(*inputs, scale)
    cotangent = torch.randn(out.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64).to(DEVICE)
    return [out.detach(), *torch.autograd.grad(out, inputs, cotangent.to(out.dtype))]


def both(inputs, scale=1.0):
    ours = run(kernel.deformable_convolution_v4, inputs, scale)
    return zip(ours, run(reference.deformable_convolution_v4, inputs, scale))


@pytest.mark.parametrize("case", CASES)
def test_kernel_matches_reference(case):
    inputs = [t.to(DEVICE) for t in random_samples(**CASES[case])]
    for ours, theirs in both(inputs):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("dtype", list(TOLERANCE), ids=str)
def test_scale_and_precision(dtype):
    inputs = [t.to(DEVICE) for t in random_samples(dtype=dtype)]
    for ours, theirs in both(inputs, scale=0.5):
        assert ours.dtype == theirs.dtype
        torch.testing.assert_close(ours, theirs, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


def test_samples_that_are_not_finite():
    value, offsets, weights = (t.to(DEVICE) for t in random_samples(images=1))
    for position, bad in enumerate((float("nan"), float("inf"), -float("inf"), 1e30, -1e30)):
        offsets.view(-1, 2)[position, position % 2] = bad
    for ours, theirs in both((value, offsets, weights)):
        assert torch.isfinite(ours).all()
        torch.testing.assert_close(ours, theirs)


def test_strided_inputs():
    value, offsets, weights = (t.to(DEVICE) for t in random_samples())
    strided = (
        value.permute(0, 3, 1, 2).contiguous().permute(0, 2, 3, 1),
        offsets.movedim(-1, 0).contiguous().movedim(0, -1),
        weights.transpose(3, 4).contiguous().transpose(3, 4),
    )
    expected = run(reference.deformable_convolution_v4, (value, offsets, weights))
    for ours, theirs in zip(run(kernel.deformable_convolution_v4, strided), expected):
        torch.testing.assert_close(ours, theirs)


def test_the_compiler_sees_a_well_formed_operator():
    samples = random_samples(images=1, height=1, width=2, groups=1, dtype=torch.float32)
    inputs = [t.to(DEVICE).requires_grad_() for t in samples]
    torch.library.opcheck(kernel._deformable_convolution_v4, (*inputs, 1.0))
