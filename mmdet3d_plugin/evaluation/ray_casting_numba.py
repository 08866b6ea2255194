"""The ray caster of `ray_casting.py` for CPU: imported when it is used, compiled on the first call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
import torch
from torch import Tensor

from .ray_casting import MAX_CELLS

_DOUBLE_MAX = np.finfo(np.float64).max


def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile on first call and keep the machine code on disk where some cache folder is writable."""
    try:
        return numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:  # numba found no folder that it may write to
        return numba.njit(nogil=True)(function)


def march_volumes(occupied: Tensor, first: Tensor, second: Tensor, floor: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Compiled twin of the reference traversal in `ray_casting.py`, same arguments and results."""
    volumes, depth, height, width = occupied.shape
    bits = occupied[0].to(torch.uint8)
    for index in range(1, volumes):
        bits = bits | (occupied[index].to(torch.uint8) << index)
    size = (volumes, *second.shape[:2])
    cell = np.zeros(size, dtype=np.int32)
    leave = np.full(size, -1.0, dtype=np.float32)
    entered = np.zeros(size[1:], dtype=np.bool_)
    flat, shape = bits.contiguous().view(-1).numpy(), (width, height, depth)
    _march(flat, shape, first[:, 0].contiguous().numpy(), second.numpy(), floor, cell, leave, entered)
    return torch.from_numpy(cell), torch.from_numpy(leave), torch.from_numpy(entered)


@_compiled
def _axis(start, direction, floor):  # type: ignore[no-untyped-def]
    """Start cell, step, distance to the first face and between faces along one axis; voxels."""
    cell = int(np.floor(start)) if floor else int(start)
    step = 1 if direction >= 0 else -1
    if direction == 0:
        return cell, step, _DOUBLE_MAX, _DOUBLE_MAX
    return cell, step, (cell + (step > 0) - start) / direction, step / direction


@_compiled
def _away(cell, size, step):  # type: ignore[no-untyped-def]
    """True where an axis is outside of the volume and the ray moves further away."""
    return (cell < 0 and step < 0) or (cell >= size and step > 0)


@_compiled
def _approach(x, y, z, tx, ty, tz, sx, sy, sz, dx, dy, dz, shape):  # type: ignore[no-untyped-def]
    """Step a ray that starts outside until it is inside; a budget of 0 says that it never enters."""
    width, height, depth = shape
    budget = MAX_CELLS
    while budget > 0 and not (0 <= x < width and 0 <= y < height and 0 <= z < depth):
        if _away(x, width, sx) or _away(y, height, sy) or _away(z, depth, sz):
            return x, y, z, tx, ty, tz, 0
        if tx < ty and tx < tz:
            x, tx = x + sx, tx + dx
        elif ty <= tx and ty < tz:
            y, ty = y + sy, ty + dy
        else:
            z, tz = z + sz, tz + dz
        budget -= 1
    return x, y, z, tx, ty, tz, budget


@_compiled
def _march(bits, shape, first, second, floor, out_cell, out_leave, out_entered):  # type: ignore[no-untyped-def]
    """Follow every ray. `bits` is the flattened volume; bit v of a voxel: volume v is occupied there."""
    width, height, depth = shape
    volumes, num_origins, num_rays = out_cell.shape
    start, unit = np.empty(3), np.empty(3)
    for k in range(num_origins):
        for a in range(3):
            start[a] = first[k, a]
        for r in range(num_rays):
            for a in range(3):
                unit[a] = np.float64(second[k, r, a]) - start[a]
            length = np.sqrt(unit[0] * unit[0] + unit[1] * unit[1] + unit[2] * unit[2])
            x, sx, tx, dx = _axis(start[0], unit[0] / length, floor)
            y, sy, ty, dy = _axis(start[1], unit[1] / length, floor)
            z, sz, tz, dz = _axis(start[2], unit[2] / length, floor)
            x, y, z, tx, ty, tz, budget = _approach(x, y, z, tx, ty, tz, sx, sy, sz, dx, dy, dz, shape)
            if budget == 0:
                continue
            out_entered[k, r] = True
            # Inside, only the axis that is stepped can leave: count the cells left to its wall.
            room_x = width - 1 - x if sx > 0 else x
            room_y = height - 1 - y if sy > 0 else y
            room_z = depth - 1 - z if sz > 0 else z
            flat, stride_y, stride_z = (z * height + y) * width + x, sy * width, sz * width * height
            pending, ended = (1 << volumes) - 1, False
            while pending and not ended:
                here, hit = flat, bits[flat] & pending
                if tx < ty and tx < tz:
                    t, room_x, flat, tx = tx, room_x - 1, flat + sx, tx + dx
                elif ty <= tx and ty < tz:
                    t, room_y, flat, ty = ty, room_y - 1, flat + stride_y, ty + dy
                else:
                    t, room_z, flat, tz = tz, room_z - 1, flat + stride_z, tz + dz
                budget -= 1
                ended = (room_x | room_y | room_z) < 0 or budget == 0
                if hit != 0 or ended:
                    for v in range(volumes):
                        if (pending >> v) & 1 and (ended or (hit >> v) & 1):
                            out_cell[v, k, r] = here
                            out_leave[v, k, r] = t
                    pending &= ~hit
