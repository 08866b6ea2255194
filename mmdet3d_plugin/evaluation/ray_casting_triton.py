"""The ray caster of `ray_casting.py` for GPUs: one thread follows one ray. Imported when it is used.

The kernel rounds after every operation, as the reference does: fused multiply-adds are switched off.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from .ray_casting import DOUBLE_MAX, MAX_CELLS

_BLOCK = 128  # rays per program
_INFINITE = tl.constexpr(DOUBLE_MAX)


@triton.jit
def _away(cell, size, step):
    """Outside of the volume along an axis and moving further away."""
    return ((cell < 0) & (step < 0)) | ((cell >= size) & (step > 0))


@triton.jit
def _axis(start, direction, FLOOR: tl.constexpr):
    """Start cell, step, distance to the first face and between faces along one axis; voxels."""
    down = tl.floor(start)
    whole = down if FLOOR else tl.where(start < 0, -tl.floor(-start), down)
    step = tl.where(direction >= 0, 1, -1)
    moving = direction != 0
    face = whole + tl.where(direction >= 0, 1.0, 0.0).to(tl.float64)
    upcoming = tl.where(moving, (face - start) / direction, _INFINITE)
    delta = tl.where(moving, step.to(tl.float64) / direction, _INFINITE)
    return whole.to(tl.int32) + tl.zeros_like(step), step, upcoming, delta


@triton.jit
def _march(
    bits, first, second, out_cell, out_leave, out_entered, rays, width, height, depth, volumes,
    FLOOR: tl.constexpr, BLOCK: tl.constexpr, BLOCK_V: tl.constexpr, MAX_STEPS: tl.constexpr,
):  # fmt: skip
    origin = tl.program_id(1)
    index = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    valid = index < rays
    start, end = first + 3 * origin, second + 3 * rays * origin + index
    start_x, end_x = tl.load(start).to(tl.float64), tl.load(end, mask=valid, other=0).to(tl.float64)
    start_y, end_y = tl.load(start + 1).to(tl.float64), tl.load(end + rays, mask=valid, other=0).to(tl.float64)
    start_z, end_z = tl.load(start + 2).to(tl.float64), tl.load(end + 2 * rays, mask=valid, other=0).to(tl.float64)
    span_x, span_y, span_z = end_x - start_x, end_y - start_y, end_z - start_z
    length = tl.sqrt(span_x * span_x + span_y * span_y + span_z * span_z)
    x, step_x, next_x, delta_x = _axis(start_x, span_x / length, FLOOR)
    y, step_y, next_y, delta_y = _axis(start_y, span_y / length, FLOOR)
    z, step_z, next_z, delta_z = _axis(start_z, span_z / length, FLOOR)

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

    ray = origin * rays + index
    where = volume * tl.num_programs(1) * rays + ray[:, None]
    kept = valid[:, None] & (volume < volumes)
    tl.store(out_cell + where, last, mask=kept)
    tl.store(out_leave + where, leave.to(tl.float32), mask=kept)
    tl.store(out_entered + ray, entered.to(tl.uint8), mask=valid)


def march_volumes(occupied: Tensor, first: Tensor, second: Tensor, floor: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Compiled twin of the reference traversal in `ray_casting.py`, same arguments and results."""
    volumes, depth, height, width = occupied.shape
    origins, _, rays = second.shape
    bits = occupied[0].view(torch.uint8)
    for index in range(1, volumes):
        bits = bits | occupied[index].view(torch.uint8) << index
    size, device = (volumes, origins, rays), occupied.device
    cell = torch.empty(size, dtype=torch.int32, device=device)
    leave = torch.empty(size, dtype=torch.float32, device=device)
    entered = torch.empty(size[1:], dtype=torch.uint8, device=device)
    if origins * rays:
        _march[(triton.cdiv(rays, _BLOCK), origins)](
            bits.contiguous(), first.contiguous(), second.contiguous(), cell, leave, entered,
            rays, width, height, depth, volumes,
            FLOOR=floor, BLOCK=_BLOCK, BLOCK_V=triton.next_power_of_2(volumes), MAX_STEPS=MAX_CELLS,
            enable_fp_fusion=False,
        )  # fmt: skip
    return cell, leave, entered.view(torch.bool)
