"""Time of soft filling, beside eight scattered sums.

python benchmarks/bench_trilinear_splat.py [--size toy bev volume] [--dtype bfloat16] [--device cuda]
"""

from __future__ import annotations

from itertools import product

from lifting import main
from torch import Tensor

from mmdet3d_plugin.ops import trilinear_splat
from mmdet3d_plugin.ops.points import inside, voxel_numbers


def eight_index_adds(context: Tensor, weights: Tensor, index: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """For each corner, all products in memory, added in the order of the points (atomics on a GPU)."""
    batch, channels = context.shape[0], context.shape[2]
    base = index.detach().floor()
    fraction = index - base
    sums = context.new_zeros(batch * shape[0] * shape[1] * shape[2], channels)
    rows = context.permute(0, 1, 3, 4, 2)[:, :, None]
    for corner in product((0, 1), repeat=3):
        upper = base.new_tensor(corner)
        share = (upper * fraction + (1 - upper) * (1 - fraction)).prod(dim=-1)
        cells = (base + upper).reshape(-1, 3)
        points = inside(cells, shape).all(dim=-1).nonzero().squeeze(1)
        sample = points // weights.shape[1:].numel()
        voxels = voxel_numbers(sample, *cells[points].long().unbind(-1), shape)
        products = ((weights * share).to(rows.dtype)[..., None] * rows).flatten(0, -2)[points]
        sums = sums.index_add(0, voxels, products)
    return sums.view(batch, *shape, channels).permute(0, 4, 1, 2, 3).contiguous()


if __name__ == "__main__":
    main("trilinear_splat", trilinear_splat, {"eight index_adds": eight_index_adds}, learned=True)
