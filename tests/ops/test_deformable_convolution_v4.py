"""Deformable convolution against closed forms and brute force."""

from __future__ import annotations

import itertools
import math
import os
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from deformable_cases import random_samples
from kernel_process import check_kernels

from mmdet3d_plugin.ops import deformable_convolution_v4, use_reference

KERNEL_TESTS = Path(__file__).with_name("deformable_kernel_equivalence.py")


def brute_force(value, offsets, weights, scale):
    """The definition, one sample and one pixel at a time: every pixel weighs max(0, 1 - |dx|) max(0, 1 - |dy|)."""
    images, height, width, groups, _ = weights.shape
    table, out = value.view(images, height, width, groups, -1), torch.zeros_like(value)
    for m, y, x, g, k in itertools.product(range(images), range(height), range(width), range(groups), range(9)):
        dx, dy = offsets[m, y, x, g, k].tolist()
        u, v = x + scale * (k // 3 - 1 + dx), y + scale * (k % 3 - 1 + dy)
        for line, column in itertools.product(range(height), range(width)):
            share = max(0.0, 1 - abs(u - column)) * max(0.0, 1 - abs(v - line))
            out.view_as(table)[m, y, x, g] += share * weights[m, y, x, g, k] * table[m, line, column, g]
    return out


@pytest.mark.parametrize("scale", [1.0, 0.4, 2.0])
def test_equals_brute_force(scale):
    inputs = random_samples()
    torch.testing.assert_close(deformable_convolution_v4(*inputs, scale), brute_force(*inputs, scale))


def test_without_offsets_it_is_a_3x3_weighted_sum_with_x_in_the_outer_loop():
    value, offsets, _ = random_samples(height=4, width=5, spread=0.0)
    kernel = torch.randn(9, dtype=torch.float64)
    weights = kernel.expand(2, 4, 5, 2, 9)
    # conv2d weighs its taps [ky, kx]; the tap number is 3 kx + ky.
    by_conv = kernel.view(3, 3).t()[None, None].expand(6, 1, 3, 3)
    expected = F.conv2d(value.permute(0, 3, 1, 2), by_conv, padding=1, groups=6).permute(0, 2, 3, 1)
    torch.testing.assert_close(deformable_convolution_v4(value, offsets, weights), expected)


@pytest.mark.parametrize("tap", range(9))
def test_one_tap_reads_one_pixel(tap):
    value = torch.arange(9.0).view(1, 3, 3, 1)  # 3 y + x
    weights = F.one_hot(torch.tensor(tap), 9).float().expand(1, 3, 3, 1, 9)
    out = deformable_convolution_v4(value, torch.zeros(1, 3, 3, 1, 9, 2), weights)
    x, y = 1 + tap // 3 - 1, 1 + tap % 3 - 1
    assert out[0, 1, 1, 0] == 3 * y + x


def one_pixel(dx, dy, scale=1.0):
    """What the middle tap of the middle pixel of a 3x3 image of ones reads when it is shifted."""
    offsets = torch.zeros(1, 3, 3, 1, 9, 2)
    offsets[..., 4, :] = torch.tensor([dx, dy])
    weights = F.one_hot(torch.tensor(4), 9).float().expand(1, 3, 3, 1, 9)
    return deformable_convolution_v4(torch.ones(1, 3, 3, 1), offsets, weights, scale)[0, 1, 1, 0].item()


@pytest.mark.parametrize(
    ("shift", "expected"), [(1.0, 1.0), (1.25, 0.75), (1.75, 0.25), (2.0, 0.0), (2.5, 0.0), (1e30, 0.0)]
)
def test_values_fade_to_zero_over_one_pixel_beyond_the_border(shift, expected):
    for sign in (1, -1):
        assert one_pixel(sign * shift, 0.0) == pytest.approx(expected)
        assert one_pixel(0.0, sign * shift) == pytest.approx(expected)
        assert one_pixel(sign * shift, shift) == pytest.approx(expected**2)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_samples_that_are_not_finite_contribute_nothing_and_have_no_gradient(bad):
    value, offsets, weights = random_samples(images=1)
    offsets[0, 1, 1, 0, 3, 0] = bad
    inputs = [t.requires_grad_() for t in (value, offsets, weights)]
    out = deformable_convolution_v4(*inputs)
    grads = torch.autograd.grad(out.sum(), inputs)
    assert all(torch.isfinite(t).all() for t in (out, *grads))
    assert (grads[1][0, 1, 1, 0, 3] == 0).all()
    assert grads[2][0, 1, 1, 0, 3] == 0


def test_the_scale_multiplies_the_kernel_grid_too():
    # Tap 8 of pixel (0, 0) looks at (1, 1); with a scale of 2 at (2, 2), or (1, 1) again with an offset of -0.5.
    value = torch.arange(9.0).view(1, 3, 3, 1)
    weights = F.one_hot(torch.tensor(8), 9).float().expand(1, 3, 3, 1, 9)
    offsets = torch.zeros(1, 3, 3, 1, 9, 2)
    assert deformable_convolution_v4(value, offsets, weights, 1.0)[0, 0, 0, 0] == 4
    assert deformable_convolution_v4(value, offsets, weights, 2.0)[0, 0, 0, 0] == 8
    assert deformable_convolution_v4(value, offsets - 0.5, weights, 2.0)[0, 0, 0, 0] == 4


def test_groups_do_not_mix():
    value, offsets, weights = random_samples(groups=2)
    first = deformable_convolution_v4(value, offsets, weights)[..., :3]
    value[..., 3:], offsets[:, :, :, 1], weights[:, :, :, 1] = 0, 7, 0
    torch.testing.assert_close(deformable_convolution_v4(value, offsets, weights)[..., :3], first)


@pytest.mark.parametrize("scale", [1.0, 0.7])
def test_gradcheck(scale):
    inputs = [t.requires_grad_() for t in random_samples(images=1, height=2, width=3, groups=1, channels=2)]
    assert torch.autograd.gradcheck(lambda *args: deformable_convolution_v4(*args, scale), inputs)


@pytest.mark.parametrize("empty", [{"images": 0}, {"height": 0}])
def test_no_pixels(empty):
    inputs = [t.requires_grad_() for t in random_samples(**empty)]
    out = deformable_convolution_v4(*inputs)
    assert out.shape == inputs[0].shape
    assert [g.shape for g in torch.autograd.grad(out.sum(), inputs)] == [t.shape for t in inputs]


def test_half_precision_sums_in_single():
    value, offsets, weights = random_samples(dtype=torch.bfloat16)
    out = deformable_convolution_v4(value, offsets, weights)
    assert out.dtype == torch.bfloat16
    exact = deformable_convolution_v4(value.double(), offsets.double(), weights.double())
    torch.testing.assert_close(out, exact.bfloat16())


def test_refuses_shapes_that_do_not_go_together():
    value, offsets, weights = random_samples()
    with pytest.raises(ValueError, match=r"value is .*expected \[M, H, W, C\]"):
        deformable_convolution_v4(value[0], offsets, weights)
    with pytest.raises(ValueError, match="weights is"):
        deformable_convolution_v4(value, offsets, weights[..., :8])
    with pytest.raises(ValueError, match="offsets is"):
        deformable_convolution_v4(value, offsets[..., :1], weights)
    with pytest.raises(ValueError, match="5 channels do not divide into 2 groups"):
        deformable_convolution_v4(value[..., :5], offsets, weights)


def test_on_a_cpu_the_reference_runs():
    inputs = random_samples()
    with use_reference():
        expected = deformable_convolution_v4(*inputs)
    assert torch.equal(deformable_convolution_v4(*inputs), expected)


def test_kernel_matches_reference_in_the_interpreter():
    pytest.importorskip("triton", reason="triton is not installed")
    check_kernels(KERNEL_TESTS, "cpu", TRITON_INTERPRET="1")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_kernel_matches_reference_on_a_gpu():
    check_kernels(KERNEL_TESTS, "cuda")


@pytest.mark.skipif(os.environ.get("TRITON_INTERPRET") == "1", reason="the interpreter replaces the compiler")
@pytest.mark.filterwarnings("ignore:TRITON_DEFAULT_FP_FUSION")
@pytest.mark.parametrize("direction", ["_forward", "_backward"])
def test_kernels_compile_for_a_gpu(direction):
    # bfloat16 features and weights, float32 coordinates, as under autocast, for compute capability 9.0.
    triton = pytest.importorskip("triton", reason="triton is not installed")
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from mmdet3d_plugin.ops.deformable_convolution_v4 import kernel

    function = getattr(kernel, direction)
    constants = {"SCALE": 1.0, "DTYPE": triton.language.float32, "BLOCK_P": 8, "BLOCK_C": 16}
    types = {"value": "*bf16", "weights": "*bf16", "grad": "*bf16", "offsets": "*fp32", "out": "*fp32"}
    types |= dict.fromkeys(("grad_value", "grad_offsets", "grad_weights"), "*fp32")
    signature = {n: "constexpr" if n in constants else types.get(n, "i32") for n in function.arg_names}
    source = ASTSource(function, signature, {k: v for k, v in constants.items() if k in function.arg_names})
    compiled = triton.compile(source, target=GPUTarget("cuda", 90, 32))
    assert ("red.global" in compiled.asm["ptx"]) == (direction == "_backward")
    assert len(compiled.asm["cubin"]) > 0
