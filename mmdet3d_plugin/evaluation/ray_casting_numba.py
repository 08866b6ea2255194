"""The ray caster of `ray_casting.py` for CPU: imported when it is used, compiled on the first call.

Rays travel in lanes. All lanes take the same step in one loop without branches, which the compiler turns into vector
instructions; every few steps, lanes whose ray has ended get the next one. The volumes are padded with a wall, so that
leaving them is a hit like any other.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..machine_code import compiled
from .ray_casting import MAX_CELLS

_kernel = compiled(nogil=True, error_model="numpy", forceinline=True)
_DOUBLE_MAX = np.finfo(np.float64).max
_LANES = 64
_STEPS = 8  # between two looks at which rays have ended
_WALL = 128
# Rows of the two tables of lane state; a lane is a column. Each table is flat, with constant offsets of its rows: so
# the compiler can prove that rows do not overlap. Unsigned, because negative indices would mean something else.
_T_X, _T_Y, _T_Z, _D_X, _D_Y, _D_Z, _T_LAST = (np.uintp(row * _LANES) for row in range(7))
_CELL, _CELL_LAST, _S_X, _S_Y, _S_Z, _LEFT, _BITS, _PENDING, _RAY = (np.uintp(row * _LANES) for row in range(9))


def march_volumes(occupied: Tensor, first: Tensor, second: Tensor, floor: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Compiled twin of the reference traversal in `ray_casting.py`, same arguments and results."""
    volumes, depth, height, width = occupied.shape
    bits = np.full((depth + 2, height + 2, width + 2), _WALL, dtype=np.uint8)
    packed = occupied[0].view(torch.uint8)
    for index in range(1, volumes):
        packed = packed | occupied[index].view(torch.uint8) << index
    bits[1:-1, 1:-1, 1:-1] = packed.numpy()
    size = (volumes, len(second), second.shape[2])
    cell = np.zeros(size, dtype=np.int32)
    leave = np.full(size, -1.0, dtype=np.float32)
    entered = np.zeros(size[1:], dtype=np.bool_)
    starts, ends = first[:, :, 0].double().numpy(), second.contiguous().numpy()
    for k in range(size[1]):
        out = cell[:, k], leave[:, k], entered[k]
        _march(bits.reshape(-1), (width, height, depth), starts[k], ends[k], floor, *out)
    return torch.from_numpy(cell), torch.from_numpy(leave), torch.from_numpy(entered)


@_kernel
def _axis(start, cell, ends, lengths, upcoming, delta, step):  # type: ignore[no-untyped-def]
    """Distance to the first face, between faces, and step of every ray along one axis; voxels."""
    for r in range(len(ends)):
        direction = (ends[r] - start) / lengths[r]
        sign = 1.0 if direction >= 0 else -1.0
        face = (cell + (1.0 if direction >= 0 else 0.0) - start) / direction
        upcoming[r] = face if direction != 0 else _DOUBLE_MAX
        delta[r] = sign / direction if direction != 0 else _DOUBLE_MAX
        step[r] = sign


@_kernel
def _away(cell, size, step):  # type: ignore[no-untyped-def]
    """True where an axis is outside of the volume and the ray moves further away."""
    return (cell < 0 and step < 0) or (cell >= size and step > 0)


@_kernel
def _approach(x, y, z, tx, ty, tz, sx, sy, sz, dx, dy, dz, shape):  # type: ignore[no-untyped-def]
    """Step a ray that starts outside until it is inside; a budget of 0 says that it never enters."""
    width, height, depth = shape
    budget = MAX_CELLS
    while budget > 0 and not (0 <= x < width and 0 <= y < height and 0 <= z < depth):
        if _away(x, width, sx) or _away(y, height, sy) or _away(z, depth, sz):
            return x, y, z, tx, ty, tz, 0
        if tx < ty and tx < tz:
            x, tx = x + sx, tx + dx
        elif not tx < ty and ty < tz:
            y, ty = y + sy, ty + dy
        else:
            z, tz = z + sz, tz + dz
        budget -= 1
    return x, y, z, tx, ty, tz, budget


@_kernel
def _prepare(start, ends, floor):  # type: ignore[no-untyped-def]
    """Start cell x, y, z, and per ray (rows) the distance to the first faces, between faces, and the steps."""
    table, lengths = np.empty((9, ends.shape[1])), np.empty(ends.shape[1])
    for r in range(ends.shape[1]):
        x, y, z = ends[0, r] - start[0], ends[1, r] - start[1], ends[2, r] - start[2]
        lengths[r] = np.sqrt(x * x + y * y + z * z)
    cell = np.floor(start) if floor else np.trunc(start)
    for a in range(3):
        _axis(start[a], cell[a], ends[a], lengths, table[a], table[3 + a], table[6 + a])
    return cell.astype(np.int64), table


@_kernel
def _board(lane, cell, rays, ray, shape, reals, cells):  # type: ignore[no-untyped-def]
    """Put a ray (a column of `rays`) into a lane; False if it never enters the volume."""
    width, height, depth = shape
    x, y, z, tx, ty, tz = cell[0], cell[1], cell[2], rays[0, ray], rays[1, ray], rays[2, ray]
    dx, dy, dz = rays[3, ray], rays[4, ray], rays[5, ray]
    sx, sy, sz = int(rays[6, ray]), int(rays[7, ray]), int(rays[8, ray])
    budget = MAX_CELLS
    if not (0 <= x < width and 0 <= y < height and 0 <= z < depth):
        x, y, z, tx, ty, tz, budget = _approach(x, y, z, tx, ty, tz, sx, sy, sz, dx, dy, dz, shape)
        if budget == 0:
            return False
    reals[lane + _T_X], reals[lane + _T_Y], reals[lane + _T_Z] = tx, ty, tz
    reals[lane + _D_X], reals[lane + _D_Y], reals[lane + _D_Z] = dx, dy, dz
    stride_y = width + 2
    stride_z = stride_y * (height + 2)
    cells[lane + _CELL] = (z + 1) * stride_z + (y + 1) * stride_y + x + 1
    cells[lane + _S_X], cells[lane + _S_Y], cells[lane + _S_Z] = sx, sy * stride_y, sz * stride_z
    cells[lane + _LEFT] = budget - 1
    return True


@_kernel
def _step(reals, cells):  # type: ignore[no-untyped-def]
    """Every lane that has no hit and may go on moves to its next cell."""
    for lane in range(np.uintp(_LANES)):
        tx, ty, tz = reals[lane + _T_X], reals[lane + _T_Y], reals[lane + _T_Z]
        dx, dy, dz = reals[lane + _D_X], reals[lane + _D_Y], reals[lane + _D_Z]
        sx, sy, sz = cells[lane + _S_X], cells[lane + _S_Y], cells[lane + _S_Z]
        cell, cell_last, t_last = cells[lane + _CELL], cells[lane + _CELL_LAST], reals[lane + _T_LAST]
        left = cells[lane + _LEFT]
        goes = ((cells[lane + _BITS] & cells[lane + _PENDING]) == 0) & (left > 0)
        along_x = (tx < ty) & (tx < tz)
        along_y = ~(tx < ty) & (ty < tz)
        x, y, z = goes & along_x, goes & along_y, goes & ~(along_x | along_y)
        t = tx if along_x else (ty if along_y else tz)
        reals[lane + _T_X] = tx + dx if x else tx
        reals[lane + _T_Y] = ty + dy if y else ty
        reals[lane + _T_Z] = tz + dz if z else tz
        reals[lane + _T_LAST] = t if goes else t_last
        cells[lane + _CELL_LAST] = cell if goes else cell_last
        cells[lane + _CELL] = cell + (sx if x else (sy if y else (sz if z else 0)))
        cells[lane + _LEFT] = left - 1 if goes else left


@_kernel
def _land(lane, bits, reals, cells, out_cell, out_leave):  # type: ignore[no-untyped-def]
    """Note where the ray of a lane ends in the volumes that it has hit; it travels on while others are pending."""
    cell, pending, ray = cells[lane + _CELL], cells[lane + _PENDING], cells[lane + _RAY]
    hit = bits[cell] & pending
    if hit & _WALL:
        cell, t, hit = cells[lane + _CELL_LAST], reals[lane + _T_LAST], pending
    else:
        tx, ty, tz = reals[lane + _T_X], reals[lane + _T_Y], reals[lane + _T_Z]
        t = tx if tx < ty and tx < tz else (ty if not tx < ty and ty < tz else tz)
        if hit == 0:  # visited as many cells as a ray may
            hit = pending
    for v in range(len(out_cell)):
        if (hit >> v) & 1:
            out_cell[v, ray] = cell
            out_leave[v, ray] = t
    pending &= ~hit
    cells[lane + _PENDING] = pending
    if pending & ~_WALL == 0:
        cells[lane + _RAY] = -1


@_kernel
def _remove_wall(cells, shape):  # type: ignore[no-untyped-def]
    """Turn indices of cells in the padded volume into those in the volume; 0, a ray that never enters, stays 0."""
    width, height, _ = shape
    for r in range(len(cells)):  # the quotients of such small integers have the right floor, and floats are quick
        row = np.floor(cells[r] / (width + 2.0))
        layer = np.floor(row / (height + 2.0))
        x, y = cells[r] - row * (width + 2) - 1, row - layer * (height + 2) - 1
        cells[r] = np.int32(((layer - 1) * height + y) * width + x) if cells[r] > 0 else 0


@_kernel
def _march(bits, shape, start, ends, floor, out_cell, out_leave, out_entered):  # type: ignore[no-untyped-def]
    """Follow every ray from one origin. Bit v of a voxel of the padded `bits`: volume v is occupied there."""
    volumes, num_rays = out_cell.shape
    reals, cells = np.zeros(7 * _LANES), np.zeros(9 * _LANES, np.int32)
    cells[_RAY : _RAY + np.uintp(_LANES)] = -1
    start_cell, rays = _prepare(start, ends, floor)
    following = travelling = 0
    while travelling > 0 or following < num_rays:
        for lane in range(np.uintp(_LANES)):
            if cells[lane + _BITS] & cells[lane + _PENDING] == 0 and cells[lane + _LEFT] > 0:
                continue
            if cells[lane + _RAY] >= 0:
                _land(lane, bits, reals, cells, out_cell, out_leave)
                travelling -= cells[lane + _RAY] < 0
            while cells[lane + _RAY] < 0 and following < num_rays:
                if _board(lane, start_cell, rays, following, shape, reals, cells):
                    cells[lane + _RAY], cells[lane + _PENDING] = following, _WALL | ((1 << volumes) - 1)
                    out_entered[following] = True
                    travelling += 1
                following += 1
            if cells[lane + _RAY] < 0:  # without a ray a lane waits in the wall
                cells[lane + _CELL], cells[lane + _PENDING] = 0, _WALL
        for _ in range(_STEPS):
            for lane in range(np.uintp(_LANES)):
                cells[lane + _BITS] = bits[np.uintp(cells[lane + _CELL])]
            _step(reals, cells)
    for v in range(volumes):
        _remove_wall(out_cell[v], shape)
