"""Time of hard pooling, beside two other ways to sum the same points.

    python benchmarks/bench_voxel_pool.py [--size toy bev volume] [--dtype bfloat16] [--device cuda]

"order per rig" is what a precomputed order can gain at most: its sort is not counted.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from lifting import main
from torch import Tensor

from mmdet3d_plugin.ops import voxel_pool
from mmdet3d_plugin.ops.points import inside, voxel_numbers

Shape = tuple[int, int, int]


def located(weights: Tensor, index: Tensor, shape: Shape) -> tuple[Tensor, Tensor]:
    """Points inside the grid, flat positions in [B, N, D, h, w], and their voxel numbers."""
    cells = index.detach().floor().reshape(-1, 3)
    points = inside(cells, shape).all(dim=-1).nonzero().squeeze(1)
    sample = points // weights.shape[1:].numel()
    return points, voxel_numbers(sample, *cells[points].long().unbind(-1), shape)


def as_volume(sums: Tensor, context: Tensor, shape: Shape) -> Tensor:
    return sums.view(context.shape[0], *shape, -1).permute(0, 4, 1, 2, 3).contiguous()


def index_add(context: Tensor, weights: Tensor, index: Tensor, shape: Shape) -> Tensor:
    """All products in memory, added in the order of the points (atomics on a GPU)."""
    points, voxels = located(weights, index, shape)
    products = (weights[..., None] * context.permute(0, 1, 3, 4, 2)[:, :, None]).flatten(0, -2)[points]
    sums = products.new_zeros(context.shape[0] * shape[0] * shape[1] * shape[2], context.shape[2])
    return as_volume(sums.index_add(0, voxels, products), context, shape)


class OrderedPool:
    """Segment sums in an order that is computed once, for the index of the first call."""

    def __init__(self) -> None:
        self.key: tuple[int, Shape] | None = None

    def __call__(self, context: Tensor, weights: Tensor, index: Tensor, shape: Shape) -> Tensor:
        batch, _, channels, height, width = context.shape
        if self.key != (index.data_ptr(), shape):
            self.key = (index.data_ptr(), shape)
            points, voxels = located(weights, index, shape)
            self.points = points[voxels.argsort(stable=True)]
            plane = height * width
            self.pixels = self.points // (weights.shape[2] * plane) * plane + self.points % plane
            counts = torch.bincount(voxels, minlength=batch * shape[0] * shape[1] * shape[2])
            self.starts = counts.cumsum(0) - counts
        sums = F.embedding_bag(
            self.pixels,
            context.permute(0, 1, 3, 4, 2).reshape(-1, channels).float(),
            self.starts,
            mode="sum",
            per_sample_weights=weights.reshape(-1)[self.points].float(),
        )
        return as_volume(sums, context, shape).to(context.dtype)


if __name__ == "__main__":
    main("voxel_pool", voxel_pool, {"index_add of products": index_add, "order per rig": OrderedPool()}, learned=False)
