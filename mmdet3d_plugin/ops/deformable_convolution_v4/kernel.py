"""Deformable convolution in Triton.

A program takes a tile of outputs, each one pixel of one group, and walks over the 36 pixels that contribute to it;
a pixel of a group is one contiguous row of channels. The backward pass adds to the gradient of `value` atomically,
and sums those of offsets and weights in registers.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..points import accumulation_dtype
from ..points_kernel import (
    BACKWARD_TILE,
    FORWARD_TILE,
    TRITON_DTYPE,
    add_rows,
    load_rows,
    store_rows,
    tile,
)


@triton.jit
def _sample(offsets, output, tap, groups, height, width, valid, SCALE: tl.constexpr):
    """Pixel coordinates of the samples of one tap, and which of them have a pixel around."""
    pixel = output // groups
    dx = tl.load(offsets + (output * 9 + tap) * 2, mask=valid, other=0.0)
    dy = tl.load(offsets + (output * 9 + tap) * 2 + 1, mask=valid, other=0.0)
    x = (pixel % width).to(dx.dtype) + SCALE * (tap // 3 - 1 + dx)
    y = (pixel // width % height).to(dx.dtype) + SCALE * (tap % 3 - 1 + dy)
    near = valid & (x > -1) & (x < width) & (y > -1) & (y < height)
    return tl.where(near, x, -2.0), tl.where(near, y, -2.0), near


@triton.jit
def _row(column, line, output, groups, height, width, near):
    """Row of the pixel at integral (column, line) in the table [M H W G, C / G], and whether it exists."""
    inside = near & (column >= 0) & (column < width) & (line >= 0) & (line < height)
    image = output // (groups * height * width)
    u, v = tl.where(inside, column, 0.0).to(tl.int64), tl.where(inside, line, 0.0).to(tl.int64)
    return ((image * height + v) * width + u) * groups + output % groups, inside


@triton.jit
def _forward(
    value, offsets, weights, out, num_outputs, groups, height, width, channels,
    SCALE: tl.constexpr, DTYPE: tl.constexpr, BLOCK_P: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    output = tl.program_id(0).to(tl.int64) * BLOCK_P + tl.arange(0, BLOCK_P)
    valid = output < num_outputs
    total = tl.zeros((BLOCK_P, BLOCK_C), dtype=DTYPE)
    for tap in range(9):
        x, y, near = _sample(offsets, output, tap, groups, height, width, valid, SCALE)
        x0, y0 = tl.floor(x), tl.floor(y)
        weight = tl.load(weights + output * 9 + tap, mask=valid, other=0.0).to(DTYPE)
        for corner in tl.static_range(4):
            dx, dy = corner % 2, corner // 2
            row, inside = _row(x0 + dx, y0 + dy, output, groups, height, width, near)
            share_x = (x - x0) if dx else (1 - (x - x0))
            share_y = (y - y0) if dy else (1 - (y - y0))
            factor = weight * (share_x * share_y).to(DTYPE)
            total += factor[:, None] * load_rows(value, row, inside, channels, BLOCK_C, DTYPE)
    store_rows(out, output, total, valid, channels, BLOCK_C)


@triton.jit
def _backward(
    grad, value, offsets, weights, grad_value, grad_offsets, grad_weights,
    num_outputs, groups, height, width, channels,
    SCALE: tl.constexpr, DTYPE: tl.constexpr, BLOCK_P: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    output = tl.program_id(0).to(tl.int64) * BLOCK_P + tl.arange(0, BLOCK_P)
    valid = output < num_outputs
    gradient = load_rows(grad, output, valid, channels, BLOCK_C, DTYPE)
    for tap in range(9):
        x, y, near = _sample(offsets, output, tap, groups, height, width, valid, SCALE)
        x0, y0 = tl.floor(x), tl.floor(y)
        weight = tl.load(weights + output * 9 + tap, mask=valid, other=0.0).to(DTYPE)
        grad_weight = tl.zeros((BLOCK_P,), dtype=DTYPE)
        grad_x = tl.zeros((BLOCK_P,), dtype=DTYPE)
        grad_y = tl.zeros((BLOCK_P,), dtype=DTYPE)
        for corner in tl.static_range(4):
            dx, dy = corner % 2, corner // 2
            row, inside = _row(x0 + dx, y0 + dy, output, groups, height, width, near)
            features = load_rows(value, row, inside, channels, BLOCK_C, DTYPE)
            similarity = tl.sum(gradient * features, axis=1)
            share_x = ((x - x0) if dx else (1 - (x - x0))).to(DTYPE)
            share_y = ((y - y0) if dy else (1 - (y - y0))).to(DTYPE)
            grad_weight += share_x * share_y * similarity
            grad_x += (2 * dx - 1) * share_y * similarity
            grad_y += (2 * dy - 1) * share_x * similarity
            add_rows(grad_value, row, (weight * share_x * share_y)[:, None] * gradient, inside, channels, BLOCK_C)
        place = output * 9 + tap
        tl.store(grad_weights + place, grad_weight, mask=valid)
        tl.store(grad_offsets + 2 * place, SCALE * weight * grad_x, mask=valid)
        tl.store(grad_offsets + 2 * place + 1, SCALE * weight * grad_y, mask=valid)


def _elements(num_outputs: int, channels: int) -> int:
    """What a single program would hold: no tile needs to be larger."""
    return triton.next_power_of_2(max(num_outputs, 1)) * triton.next_power_of_2(channels)


@torch.library.custom_op(
    "occstudio::deformable_convolution_v4",
    mutates_args=(),
    schema="(Tensor value, Tensor offsets, Tensor weights, float offset_scale) -> Tensor",
)
def _deformable_convolution_v4(value: Tensor, offsets: Tensor, weights: Tensor, offset_scale: float) -> Tensor:
    _, height, width, groups, _ = weights.shape
    channels, num_outputs = value.shape[-1] // groups, weights.shape[:4].numel()
    dtype = accumulation_dtype(value, weights)
    out = value.new_empty(value.shape, dtype=dtype)
    blocks = tile(min(FORWARD_TILE, _elements(num_outputs, channels)), channels)
    if num_outputs and channels:
        _forward[(triton.cdiv(num_outputs, blocks["BLOCK_P"]),)](
            value.contiguous(), offsets.contiguous(), weights.contiguous(), out,
            num_outputs, groups, height, width, channels,
            SCALE=offset_scale, DTYPE=TRITON_DTYPE[dtype], **blocks,
        )  # fmt: skip
    return out.to(value.dtype)


@_deformable_convolution_v4.register_fake
def _(value: Tensor, offsets: Tensor, weights: Tensor, offset_scale: float) -> Tensor:
    return value.new_empty(value.shape)


@torch.library.custom_op(
    "occstudio::deformable_convolution_v4_backward",
    mutates_args=(),
    schema="(Tensor grad, Tensor value, Tensor offsets, Tensor weights, float offset_scale)"
    " -> (Tensor, Tensor, Tensor)",
)
def _deformable_convolution_v4_backward(
    grad: Tensor, value: Tensor, offsets: Tensor, weights: Tensor, offset_scale: float
) -> tuple[Tensor, Tensor, Tensor]:
    _, height, width, groups, _ = weights.shape
    channels, num_outputs = value.shape[-1] // groups, weights.shape[:4].numel()
    dtype = accumulation_dtype(value, weights)
    grads = [torch.zeros(t.shape, dtype=dtype, device=t.device) for t in (value, offsets, weights)]
    blocks = tile(min(BACKWARD_TILE, _elements(num_outputs, channels)), channels)
    if num_outputs and channels:
        _backward[(triton.cdiv(num_outputs, blocks["BLOCK_P"]),)](
            grad.contiguous(), value.contiguous(), offsets.contiguous(), weights.contiguous(), *grads,
            num_outputs, groups, height, width, channels,
            SCALE=offset_scale, DTYPE=TRITON_DTYPE[dtype], **blocks,
        )  # fmt: skip
    return grads[0].to(value.dtype), grads[1].to(offsets.dtype), grads[2].to(weights.dtype)


@_deformable_convolution_v4_backward.register_fake
def _(
    grad: Tensor, value: Tensor, offsets: Tensor, weights: Tensor, offset_scale: float
) -> tuple[Tensor, Tensor, Tensor]:
    return value.new_empty(value.shape), offsets.new_empty(offsets.shape), weights.new_empty(weights.shape)


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    *tensors, ctx.offset_scale = inputs
    ctx.save_for_backward(*tensors)


def _differentiate(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    return *_deformable_convolution_v4_backward(grad, *ctx.saved_tensors, ctx.offset_scale), None


_deformable_convolution_v4.register_autograd(_differentiate, setup_context=_save)


def deformable_convolution_v4(value: Tensor, offsets: Tensor, weights: Tensor, offset_scale: float = 1.0) -> Tensor:
    """See :func:`mmdet3d_plugin.ops.deformable_convolution_v4`."""
    return _deformable_convolution_v4(value, offsets, weights, offset_scale)
