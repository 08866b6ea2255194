"""Hard pooling in Triton."""

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
from . import Rounding


@triton.jit
def _round(u, TRUNCATE: tl.constexpr):
    if TRUNCATE:
        return tl.where(u < 0, tl.ceil(u), tl.floor(u))
    return tl.floor(u)


@triton.jit
def _forward(
    context, weights, index, voxels, num_points, cameras, bins, plane, channels, depth, height, width,
    TRUNCATE: tl.constexpr, DTYPE: tl.constexpr, BLOCK_P: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    point = tl.program_id(0).to(tl.int64) * BLOCK_P + tl.arange(0, BLOCK_P)
    valid = point < num_points
    image = point // (bins * plane)
    x, y, z = load_location(index, point, valid)
    x, y, z = _round(x, TRUNCATE), _round(y, TRUNCATE), _round(z, TRUNCATE)
    voxel, inside = locate(x, y, z, image // cameras, depth, height, width)
    inside = inside & valid
    features = load_rows(context, image * plane + point % plane, inside, channels, BLOCK_C, DTYPE)
    weight = tl.load(weights + point, mask=inside, other=0.0).to(DTYPE)
    add_rows(voxels, voxel, weight[:, None] * features, inside, channels, BLOCK_C)


@triton.jit
def _backward(
    grad_voxels, context, weights, index, grad_context, grad_weights,
    num_pixels, cameras, bins, plane, channels, depth, height, width,
    TRUNCATE: tl.constexpr, DTYPE: tl.constexpr, BLOCK_P: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    pixel = tl.program_id(0).to(tl.int64) * BLOCK_P + tl.arange(0, BLOCK_P)
    valid = pixel < num_pixels
    image = pixel // plane
    features = load_rows(context, pixel, valid, channels, BLOCK_C, DTYPE)
    grad_features = tl.zeros((BLOCK_P, BLOCK_C), dtype=DTYPE)
    for bin in range(bins):
        point = (image * bins + bin) * plane + pixel % plane
        x, y, z = load_location(index, point, valid)
        x, y, z = _round(x, TRUNCATE), _round(y, TRUNCATE), _round(z, TRUNCATE)
        voxel, inside = locate(x, y, z, image // cameras, depth, height, width)
        inside = inside & valid
        grad = load_rows(grad_voxels, voxel, inside, channels, BLOCK_C, DTYPE)
        weight = tl.load(weights + point, mask=inside, other=0.0).to(DTYPE)
        grad_features += weight[:, None] * grad
        tl.store(grad_weights + point, tl.sum(grad * features, axis=1), mask=valid)
    store_rows(grad_context, pixel, grad_features, valid, channels, BLOCK_C)


@torch.library.custom_op(
    "occstudio::voxel_pool",
    mutates_args=(),
    schema="(Tensor context, Tensor weights, Tensor index, SymInt[] shape, bool truncate) -> Tensor",
)
def _voxel_pool(context: Tensor, weights: Tensor, index: Tensor, shape: Sequence[int], truncate: bool) -> Tensor:
    _, cameras, channels, height, width = context.shape
    bins, num_points = weights.shape[2], weights.numel()
    dtype = accumulation_dtype(context, weights)
    voxels = empty_voxels(context, shape, dtype)
    blocks = tile(FORWARD_TILE, channels)
    if num_points and channels:
        _forward[(triton.cdiv(num_points, blocks["BLOCK_P"]),)](
            as_rows(context), weights.contiguous(), index.contiguous(), voxels,
            num_points, cameras, bins, height * width, channels, *shape,
            TRUNCATE=truncate, DTYPE=TRITON_DTYPE[dtype], **blocks,
        )  # fmt: skip
    return voxels.permute(0, 4, 1, 2, 3).to(context.dtype).contiguous()


@_voxel_pool.register_fake
def _(context: Tensor, weights: Tensor, index: Tensor, shape: Sequence[int], truncate: bool) -> Tensor:
    return context.new_empty((context.shape[0], context.shape[2], *shape))


@torch.library.custom_op(
    "occstudio::voxel_pool_backward",
    mutates_args=(),
    schema="(Tensor grad, Tensor context, Tensor weights, Tensor index, bool truncate) -> (Tensor, Tensor)",
)
def _voxel_pool_backward(
    grad: Tensor, context: Tensor, weights: Tensor, index: Tensor, truncate: bool
) -> tuple[Tensor, Tensor]:
    batch, cameras, channels, height, width = context.shape
    bins, num_pixels = weights.shape[2], batch * cameras * height * width
    dtype = accumulation_dtype(context, weights)
    rows = as_rows(context)
    grad_rows = rows.new_zeros(rows.shape, dtype=dtype)
    grad_weights = weights.new_zeros(weights.shape, dtype=dtype)
    blocks = tile(BACKWARD_TILE, channels)
    if num_pixels and channels:
        _backward[(triton.cdiv(num_pixels, blocks["BLOCK_P"]),)](
            grad.permute(0, 2, 3, 4, 1).contiguous(), rows, weights.contiguous(), index.contiguous(),
            grad_rows, grad_weights, num_pixels, cameras, bins, height * width, channels, *grad.shape[2:],
            TRUNCATE=truncate, DTYPE=TRITON_DTYPE[dtype], **blocks,
        )  # fmt: skip
    return grad_rows.permute(0, 1, 4, 2, 3).to(context.dtype).contiguous(), grad_weights.to(weights.dtype)


@_voxel_pool_backward.register_fake
def _(grad: Tensor, context: Tensor, weights: Tensor, index: Tensor, truncate: bool) -> tuple[Tensor, Tensor]:
    return context.new_empty(context.shape), weights.new_empty(weights.shape)


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    context, weights, index, _, ctx.truncate = inputs
    ctx.save_for_backward(context, weights, index)


def _differentiate(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    grad_context, grad_weights = _voxel_pool_backward(grad, *ctx.saved_tensors, ctx.truncate)
    return grad_context, grad_weights, None, None, None


_voxel_pool.register_autograd(_differentiate, setup_context=_save)


def voxel_pool(context: Tensor, weights: Tensor, index: Tensor, shape: Shape, rounding: Rounding = "floor") -> Tensor:
    """See :func:`mmdet3d_plugin.ops.voxel_pool`."""
    return _voxel_pool(context, weights, index, shape, rounding == "truncate")
