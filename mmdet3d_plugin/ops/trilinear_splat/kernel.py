"""Soft filling in Triton."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..points import Shape, accumulation_dtype
from ..points_kernel import (
    BACKWARD_TILE,
    FORWARD_TILE,
    TRITON_DTYPE,
    add_rows,
    as_rows,
    empty_voxels,
    load_location,
    load_rows,
    locate,
    store_rows,
    tile,
)


@triton.jit
def _forward(
    context, weights, index, voxels, num_points, cameras, bins, plane, channels, depth, height, width,
    DTYPE: tl.constexpr, BLOCK_P: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    point = tl.program_id(0).to(tl.int64) * BLOCK_P + tl.arange(0, BLOCK_P)
    valid = point < num_points
    image = point // (bins * plane)
    x, y, z = load_location(index, point, valid)
    x0, y0, z0 = tl.floor(x), tl.floor(y), tl.floor(z)
    features = load_rows(context, image * plane + point % plane, valid, channels, BLOCK_C, DTYPE)
    weight = tl.load(weights + point, mask=valid, other=0.0).to(DTYPE)
    for corner in tl.static_range(8):
        dx, dy, dz = corner // 4, corner // 2 % 2, corner % 2
        voxel, inside = locate(x0 + dx, y0 + dy, z0 + dz, image // cameras, depth, height, width)
        inside = inside & valid
        share_x = (x - x0) if dx else (1 - (x - x0))
        share_y = (y - y0) if dy else (1 - (y - y0))
        share_z = (z - z0) if dz else (1 - (z - z0))
        mass = weight * (share_x * share_y * share_z).to(DTYPE)
        add_rows(voxels, voxel, mass[:, None] * features, inside, channels, BLOCK_C)


@triton.jit
def _backward(
    grad_voxels, context, weights, index, grad_context, grad_weights, grad_index,
    num_pixels, cameras, bins, plane, channels, depth, height, width,
    DTYPE: tl.constexpr, BLOCK_P: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    pixel = tl.program_id(0).to(tl.int64) * BLOCK_P + tl.arange(0, BLOCK_P)
    valid = pixel < num_pixels
    image = pixel // plane
    features = load_rows(context, pixel, valid, channels, BLOCK_C, DTYPE)
    grad_features = tl.zeros((BLOCK_P, BLOCK_C), dtype=DTYPE)
    for bin in range(bins):
        point = (image * bins + bin) * plane + pixel % plane
        x, y, z = load_location(index, point, valid)
        x0, y0, z0 = tl.floor(x), tl.floor(y), tl.floor(z)
        weight = tl.load(weights + point, mask=valid, other=0.0).to(DTYPE)
        grad_weight = tl.zeros((BLOCK_P,), dtype=DTYPE)
        grad_x = tl.zeros((BLOCK_P,), dtype=DTYPE)
        grad_y = tl.zeros((BLOCK_P,), dtype=DTYPE)
        grad_z = tl.zeros((BLOCK_P,), dtype=DTYPE)
        for corner in tl.static_range(8):
            dx, dy, dz = corner // 4, corner // 2 % 2, corner % 2
            voxel, inside = locate(x0 + dx, y0 + dy, z0 + dz, image // cameras, depth, height, width)
            inside = inside & valid
            grad = load_rows(grad_voxels, voxel, inside, channels, BLOCK_C, DTYPE)
            # A point that is not finite has no cell; its shares must not turn zeros into NaN.
            share_x = tl.where(inside, (x - x0) if dx else (1 - (x - x0)), 0).to(DTYPE)
            share_y = tl.where(inside, (y - y0) if dy else (1 - (y - y0)), 0).to(DTYPE)
            share_z = tl.where(inside, (z - z0) if dz else (1 - (z - z0)), 0).to(DTYPE)
            share = share_x * share_y * share_z
            grad_features += (weight * share)[:, None] * grad
            similarity = tl.sum(grad * features, axis=1)
            grad_weight += share * similarity
            grad_x += (2 * dx - 1) * share_y * share_z * similarity
            grad_y += (2 * dy - 1) * share_x * share_z * similarity
            grad_z += (2 * dz - 1) * share_x * share_y * similarity
        tl.store(grad_weights + point, grad_weight, mask=valid)
        tl.store(grad_index + 3 * point, weight * grad_x, mask=valid)
        tl.store(grad_index + 3 * point + 1, weight * grad_y, mask=valid)
        tl.store(grad_index + 3 * point + 2, weight * grad_z, mask=valid)
    store_rows(grad_context, pixel, grad_features, valid, channels, BLOCK_C)


@torch.library.custom_op(
    "occstudio::trilinear_splat",
    mutates_args=(),
    schema="(Tensor context, Tensor weights, Tensor index, SymInt[] shape) -> Tensor",
)
def _trilinear_splat(context: Tensor, weights: Tensor, index: Tensor, shape: Sequence[int]) -> Tensor:
    _, cameras, channels, height, width = context.shape
    bins, num_points = weights.shape[2], weights.numel()
    dtype = accumulation_dtype(context, weights)
    voxels = empty_voxels(context, shape, dtype)
    blocks = tile(FORWARD_TILE, channels)
    if num_points and channels:
        _forward[(triton.cdiv(num_points, blocks["BLOCK_P"]),)](
            as_rows(context), weights.contiguous(), index.contiguous(), voxels,
            num_points, cameras, bins, height * width, channels, *shape,
            DTYPE=TRITON_DTYPE[dtype], **blocks,
        )  # fmt: skip
    return voxels.permute(0, 4, 1, 2, 3).to(context.dtype).contiguous()


@_trilinear_splat.register_fake
def _(context: Tensor, weights: Tensor, index: Tensor, shape: Sequence[int]) -> Tensor:
    return context.new_empty((context.shape[0], context.shape[2], *shape))


@torch.library.custom_op(
    "occstudio::trilinear_splat_backward",
    mutates_args=(),
    schema="(Tensor grad, Tensor context, Tensor weights, Tensor index) -> (Tensor, Tensor, Tensor)",
)
def _trilinear_splat_backward(
    grad: Tensor, context: Tensor, weights: Tensor, index: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    batch, cameras, channels, height, width = context.shape
    bins, num_pixels = weights.shape[2], batch * cameras * height * width
    dtype = accumulation_dtype(context, weights)
    rows = as_rows(context)
    grad_rows = rows.new_zeros(rows.shape, dtype=dtype)
    grad_weights = weights.new_zeros(weights.shape, dtype=dtype)
    grad_index = index.new_zeros(index.shape, dtype=dtype)
    blocks = tile(BACKWARD_TILE, channels)
    if num_pixels and channels:
        _backward[(triton.cdiv(num_pixels, blocks["BLOCK_P"]),)](
            grad.permute(0, 2, 3, 4, 1).contiguous(), rows, weights.contiguous(), index.contiguous(),
            grad_rows, grad_weights, grad_index,
            num_pixels, cameras, bins, height * width, channels, *grad.shape[2:],
            DTYPE=TRITON_DTYPE[dtype], **blocks,
        )  # fmt: skip
    grad_context = grad_rows.permute(0, 1, 4, 2, 3).to(context.dtype).contiguous()
    return grad_context, grad_weights.to(weights.dtype), grad_index.to(index.dtype)


@_trilinear_splat_backward.register_fake
def _(grad: Tensor, context: Tensor, weights: Tensor, index: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return context.new_empty(context.shape), weights.new_empty(weights.shape), index.new_empty(index.shape)


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs[:3])


def _differentiate(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    return *_trilinear_splat_backward(grad, *ctx.saved_tensors), None


_trilinear_splat.register_autograd(_differentiate, setup_context=_save)


def trilinear_splat(context: Tensor, weights: Tensor, index: Tensor, shape: Shape) -> Tensor:
    """See :func:`mmdet3d_plugin.ops.trilinear_splat`."""
    return _trilinear_splat(context, weights, index, shape)
