"""The ray caster of `ray_casting.py` for GPUs: one thread follows one ray. Imported when it is used.

Start cells and distances are prepared by PyTorch, one rounding per operation; the kernel only compares and adds, so
that its bits are those of the reference whatever the compiler fuses.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from .ray_casting import MAX_CELLS, prepare

_BLOCK = 128  # rays per program


@triton.jit
def _away(cell, size, step):
    """Outside of the volume along an axis and moving further away."""
    return ((cell < 0) & (step < 0)) | ((cell >= size) & (step > 0))


@triton.jit
def _load_axes(table, ray, valid):
    """Rows of an [M, 3] table, one tensor per axis; zero where not `valid`."""
    x = tl.load(table + 3 * ray, mask=valid, other=0)
    y = tl.load(table + 3 * ray + 1, mask=valid, other=0)
    z = tl.load(table + 3 * ray + 2, mask=valid, other=0)
    return x, y, z


@triton.jit
def _march(
    bits, start, steps, first, between, out_cell, out_leave, out_entered, count, width, height, depth, volumes,
    BLOCK: tl.constexpr, BLOCK_V: tl.constexpr, MAX_STEPS: tl.constexpr,
):  # fmt: skip
    ray = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    valid = ray < count
    x, y, z = _load_axes(start, ray, valid)
    step_x, step_y, step_z = _load_axes(steps, ray, valid)
    next_x, next_y, next_z = _load_axes(first, ray, valid)
    delta_x, delta_y, delta_z = _load_axes(between, ray, valid)

    volume = tl.arange(0, BLOCK_V)[None, :]
    last = tl.zeros((BLOCK, BLOCK_V), dtype=tl.int32)
    leave = tl.full((BLOCK, BLOCK_V), -1.0, dtype=tl.float64)
    pending = tl.zeros((BLOCK,), dtype=tl.int32) + (1 << volumes) - 1
    entered = tl.zeros((BLOCK,), dtype=tl.int32)
    active = valid.to(tl.int32)
    taken = 0
    while (tl.max(active, axis=0) > 0) & (taken < MAX_STEPS):
        inside = (x >= 0) & (x < width) & (y >= 0) & (y < height) & (z >= 0) & (z < depth) & (active > 0)
        flat = (z * height + y) * width + x
        hit = tl.load(bits + flat, mask=inside, other=0).to(tl.int32)
        along_x = (next_x < next_y) & (next_x < next_z)
        along_y = (next_x >= next_y) & (next_y < next_z)
        along_z = ~(along_x | along_y)
        distance = tl.where(along_x, next_x, tl.where(along_y, next_y, next_z))
        update = inside[:, None] & (((pending[:, None] >> volume) & 1) > 0)
        last = tl.where(update, flat[:, None], last)
        leave = tl.where(update, distance[:, None], leave)
        pending = pending & ~hit
        hopeless = _away(x, width, step_x) | _away(y, height, step_y) | _away(z, depth, step_z)
        goes_on = (active > 0) & (pending != 0) & (inside | ((entered == 0) & ~hopeless))
        entered = entered | inside.to(tl.int32)
        active = goes_on.to(tl.int32)
        x, next_x = tl.where(along_x, x + step_x, x), tl.where(along_x, next_x + delta_x, next_x)
        y, next_y = tl.where(along_y, y + step_y, y), tl.where(along_y, next_y + delta_y, next_y)
        z, next_z = tl.where(along_z, z + step_z, z), tl.where(along_z, next_z + delta_z, next_z)
        taken += 1

    where = volume * count + ray[:, None]
    kept = valid[:, None] & (volume < volumes)
    tl.store(out_cell + where, last, mask=kept)
    tl.store(out_leave + where, leave.to(tl.float32), mask=kept)
    tl.store(out_entered + ray, entered, mask=valid)


def march_volumes(occupied: Tensor, first: Tensor, second: Tensor, floor: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Compiled twin of the reference traversal in `ray_casting.py`, same arguments and results."""
    volumes, depth, height, width = occupied.shape
    rays = prepare(first, second, floor)
    count = len(rays.cell)
    weights = 1 << torch.arange(volumes, device=occupied.device)
    bits = (occupied * weights.view(-1, 1, 1, 1)).sum(dim=0).to(torch.uint8).contiguous()
    cell = torch.zeros((volumes, count), dtype=torch.int32, device=occupied.device)
    leave = torch.full((volumes, count), -1.0, dtype=torch.float32, device=occupied.device)
    entered = torch.zeros(count, dtype=torch.int32, device=occupied.device)
    if count:
        _march[(triton.cdiv(count, _BLOCK),)](
            bits, rays.cell.int(), rays.step.int(), rays.upcoming, rays.delta, cell, leave, entered,
            count, width, height, depth, volumes,
            BLOCK=_BLOCK, BLOCK_V=triton.next_power_of_2(volumes), MAX_STEPS=MAX_CELLS,
        )  # fmt: skip
    size = (volumes, len(second), second.shape[2])
    return cell.view(size), leave.view(size), entered.view(size[1:]).bool()
