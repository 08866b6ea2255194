"""Triton building blocks of the two lifting ops, and the layout that their kernels share.

Features are tables with one contiguous row of channels per pixel or per voxel, so that a point is one
coalesced row read and one coalesced row of atomic additions. Forward kernels take a tile of points per
program. Backward kernels take a tile of pixels and walk along depth: the gradient of a pixel's context is
then summed in registers, without atomics. No kernel sorts, and none stores anything per point but the
gradients of points.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import triton
import triton.language as tl
from torch import Tensor

FORWARD_TILE, BACKWARD_TILE = 2048, 512  # elements (rows times channels) that a program holds in registers


@triton.jit
def load_location(index, point, valid):
    """Continuous voxel index (x, y, z) of points; where not `valid`, a place outside of every grid."""
    x = tl.load(index + 3 * point, mask=valid, other=-9.0)
    y = tl.load(index + 3 * point + 1, mask=valid, other=-9.0)
    z = tl.load(index + 3 * point + 2, mask=valid, other=-9.0)
    return x, y, z


@triton.jit
def locate(x, y, z, sample, depth, height, width):
    """Row of the voxel at integral (x, y, z) in the table of all voxels, and whether there is one.

    Compared before the conversion to integers, so that infinities and NaN are outside.
    """
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height) & (z >= 0) & (z < depth)
    column = tl.where(inside, x, 0).to(tl.int64)
    line = tl.where(inside, y, 0).to(tl.int64)
    slab = tl.where(inside, z, 0).to(tl.int64)
    return ((sample * depth + slab) * height + line) * width + column, inside


@triton.jit
def load_rows(table, row, valid, channels, BLOCK_C: tl.constexpr, dtype: tl.constexpr):
    """Rows of a table as [rows, BLOCK_C] of `dtype`; zero where not `valid` and beyond the last channel."""
    channel = tl.arange(0, BLOCK_C)
    mask = valid[:, None] & (channel < channels)[None, :]
    return tl.load(table + row[:, None] * channels + channel[None, :], mask=mask, other=0.0).to(dtype)


@triton.jit
def add_rows(table, row, values, valid, channels, BLOCK_C: tl.constexpr):
    """Atomically add [rows, BLOCK_C] values to rows of a table where `valid`."""
    channel = tl.arange(0, BLOCK_C)
    mask = valid[:, None] & (channel < channels)[None, :]
    tl.atomic_add(table + row[:, None] * channels + channel[None, :], values, mask=mask, sem="relaxed")


@triton.jit
def store_rows(table, row, values, valid, channels, BLOCK_C: tl.constexpr):
    """Store [rows, BLOCK_C] values to rows of a table where `valid`."""
    channel = tl.arange(0, BLOCK_C)
    mask = valid[:, None] & (channel < channels)[None, :]
    tl.store(table + row[:, None] * channels + channel[None, :], values, mask=mask)


def as_rows(features: Tensor) -> Tensor:
    """Table of pixels: [B, N, C, h, w] to contiguous [B, N, h, w, C]."""
    return features.permute(0, 1, 3, 4, 2).contiguous()


def empty_voxels(context: Tensor, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    """Table of voxels to accumulate into: zeros [B, Z, Y, X, C]."""
    return context.new_zeros((context.shape[0], *shape, context.shape[2]), dtype=dtype)


def tile(elements: int, channels: int) -> dict[str, int]:
    """Block sizes for rows of `channels` within a budget of elements per program."""
    block = triton.next_power_of_2(channels)
    return {"BLOCK_P": max(1, elements // block), "BLOCK_C": block}


TRITON_DTYPE = {torch.float32: tl.float32, torch.float64: tl.float64}
