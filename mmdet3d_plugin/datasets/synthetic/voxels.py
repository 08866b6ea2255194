"""Casting columns of voxels through solids, and rays through voxels (Numba)."""

from __future__ import annotations

import math

import numpy as np

from .road import ground_class, road_coordinates
from .solids import Solids, corners, interval, kernel, transform

LEAST_OVERLAP = 0.05
"""A voxel belongs to a solid that reaches into it by more than this along the vertical, metres."""
SAMPLES = 4
"""A column belongs to a solid that covers any of SAMPLES x SAMPLES points of its footprint, the border included."""
DEEP = SAMPLES * SAMPLES // 2
"""A solid that covers this many of the points hides what is behind the voxel."""


def _rectangles(points: np.ndarray, lower: np.ndarray, step: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Index ranges [P, 4] (i first, j first, i end, j end) of the cells that hold points [P, 8, 2+], may be empty."""
    index = (points[..., :2] - lower[:2]) / step[:2]
    low, high = np.floor(index.min(1)).astype(np.int64) - 1, np.floor(index.max(1)).astype(np.int64) + 2
    return np.concatenate((np.clip(low, 0, shape), np.clip(high, 0, shape)), -1)


def paint_solids(
    solids: Solids,
    order: np.ndarray,
    global_from_frame: np.ndarray,
    lower: np.ndarray,
    step: np.ndarray,
    owner: np.ndarray,
) -> np.ndarray:
    """Write the index of the owning object into every voxel that a solid reaches; later solids overwrite earlier ones.

    Args:
        solids: P solids, global frame.
        order: indices of the solids, least important first.
        global_from_frame: [4, 4] pose of the label frame, which may be tilted.
        lower, step: [3] lower corner of the grid and edges of a voxel, metres.
        owner: [X, Y, Z] int32, written in place.

    Returns:
        [X, Y, Z] bool, voxels that one solid fills to a good part.
    """
    frame_from_global = np.linalg.inv(global_from_frame)
    points = transform(frame_from_global, corners(solids))
    deep = np.zeros(owner.shape, np.bool_)
    _paint(
        solids.geometry,
        solids.owner,
        order,
        _rectangles(points, lower, step, owner.shape[:2]),
        global_from_frame,
        lower,
        step,
        owner,
        deep,
    )
    return deep


@kernel
def _paint(geometry, owners, order, rectangles, pose, lower, step, owner, deep):
    bx, by, bz = pose[0, 2], pose[1, 2], pose[2, 2]
    layers = owner.shape[2]
    for p in order:
        for i in range(rectangles[p, 0], rectangles[p, 2]):
            for j in range(rectangles[p, 1], rectangles[p, 3]):
                low, high, covered = math.inf, -math.inf, 0
                for k in range(SAMPLES * SAMPLES):
                    x = lower[0] + (i + (k // SAMPLES) / (SAMPLES - 1)) * step[0]
                    y = lower[1] + (j + (k % SAMPLES) / (SAMPLES - 1)) * step[1]
                    ox = pose[0, 0] * x + pose[0, 1] * y + pose[0, 3]
                    oy = pose[1, 0] * x + pose[1, 1] * y + pose[1, 3]
                    oz = pose[2, 0] * x + pose[2, 1] * y + pose[2, 3]
                    t0, t1 = interval(geometry, p, ox, oy, oz, bx, by, bz)
                    t0 = max(t0, -oz / bz)  # nothing is solid below the ground
                    if t0 <= t1:
                        low, high, covered = min(low, t0), max(high, t1), covered + 1
                if low > high:
                    continue
                first = max(math.floor((low - lower[2]) / step[2]), 0)
                last = min(math.floor((high - lower[2]) / step[2]), layers - 1)
                for k in range(first, last + 1):
                    bottom = lower[2] + k * step[2]
                    if min(high, bottom + step[2]) - max(low, bottom) > LEAST_OVERLAP:
                        owner[i, j, k] = owners[p]
                        deep[i, j, k] |= covered >= DEEP


@kernel
def paint_ground(ground, pose, lower, step, classes, owner):
    """Write the lidarseg id of the ground into the voxels that the plane z = 0 of the global frame passes through.

    Args:
        ground: the ground.
        pose: [4, 4] global_from_frame.
        classes: [X, Y, Z] uint8, written where `owner` is free (-1).
        owner: [X, Y, Z] int32, set to -2 there.
    """
    for i in range(owner.shape[0]):
        x = lower[0] + (i + 0.5) * step[0]
        for j in range(owner.shape[1]):
            y = lower[1] + (j + 0.5) * step[1]
            z = -(pose[2, 0] * x + pose[2, 1] * y + pose[2, 3]) / pose[2, 2]
            k = math.floor((z - 1e-6 - lower[2]) / step[2])
            if 0 <= k < owner.shape[2]:
                gx = pose[0, 0] * x + pose[0, 1] * y + pose[0, 2] * z + pose[0, 3]
                gy = pose[1, 0] * x + pose[1, 1] * y + pose[1, 2] * z + pose[1, 3]
                s, d = road_coordinates(ground, gx, gy)
                classes[i, j, k] = ground_class(ground, s, d)
                owner[i, j, k] = -2


@kernel
def hollow(owner, deep, pose, lower, step):
    """Free the voxels of solids (-1) that no ray can reach: lidar labels are surfaces, not volumes.

    These are the ones with solids on all sides. A neighbour that a solid only grazes hides nothing, and so does the
    ground, except below. What lies outside of the grid counts as solid.

    Args:
        owner: [X, Y, Z] int32 index of an object, -1 free, -2 ground; written in place.
        deep: [X, Y, Z] bool, a solid fills a good part of the voxel.
        pose: [4, 4] global_from_frame.
        lower, step: [3] lower corner of the grid and edges of a voxel, metres.
    """
    nx, ny, nz = owner.shape
    for i in range(nx):
        for j in range(ny):
            x, y = lower[0] + (i + 0.5) * step[0], lower[1] + (j + 0.5) * step[1]
            floor = -(pose[2, 0] * x + pose[2, 1] * y + pose[2, 3]) / pose[2, 2]
            for k in range(nz):
                buried = k == 0 or lower[2] + k * step[2] < floor
                if owner[i, j, k] >= 0 and (
                    (i == 0 or deep[i - 1, j, k])
                    and (i == nx - 1 or deep[i + 1, j, k])
                    and (j == 0 or deep[i, j - 1, k])
                    and (j == ny - 1 or deep[i, j + 1, k])
                    and (k == nz - 1 or deep[i, j, k + 1])
                    and (buried or deep[i, j, k - 1] or owner[i, j, k - 1] == -2)
                ):
                    owner[i, j, k] = -1


@kernel
def mark_rays(occupied, lower, step, origin, directions, seen):
    """Mark every voxel that rays pass, up to and including the first occupied one (Amanatides and Woo 1987).

    Args:
        occupied: [X, Y, Z] bool.
        lower, step: [3] lower corner of the grid and edges of a voxel, metres.
        origin: [3] common origin of the rays, frame of the grid, metres; it may lie outside of the grid.
        directions: [R, 3], any length.
        seen: [X, Y, Z] bool, written in place.
    """
    ox, oy, oz = (origin[0] - lower[0]) / step[0], (origin[1] - lower[1]) / step[1], (origin[2] - lower[2]) / step[2]
    for r in range(directions.shape[0]):
        dx, dy, dz = directions[r, 0] / step[0], directions[r, 1] / step[1], directions[r, 2] / step[2]
        _mark_ray(occupied, ox, oy, oz, dx, dy, dz, seen)


@kernel
def _clip(o, d, n, enter, leave):
    """The part of enter..leave in which 0 <= o + t d < n; empty (enter >= leave) if there is none."""
    if d == 0.0:
        return (enter, leave) if 0.0 <= o < n else (enter, -1.0)
    t0, t1 = -o / d, (n - o) / d
    return max(enter, min(t0, t1)), min(leave, max(t0, t1))


@kernel
def _first_cell(o, d, n, enter):
    """(cell, step, parameter at which the next cell is entered, parameter per cell) along one axis."""
    cell = min(max(math.floor(o + d * enter), 0), n - 1)
    if d == 0.0:
        return cell, 0, math.inf, math.inf
    return (cell, 1, (cell + 1 - o) / d, 1.0 / d) if d > 0.0 else (cell, -1, (cell - o) / d, -1.0 / d)


@kernel
def _mark_ray(occupied, ox, oy, oz, dx, dy, dz, seen):
    nx, ny, nz = occupied.shape
    enter, leave = _clip(ox, dx, nx, 0.0, math.inf)
    enter, leave = _clip(oy, dy, ny, enter, leave)
    enter, leave = _clip(oz, dz, nz, enter, leave)
    if enter >= leave:
        return
    i, si, ti, ui = _first_cell(ox, dx, nx, enter)
    j, sj, tj, uj = _first_cell(oy, dy, ny, enter)
    k, sk, tk, uk = _first_cell(oz, dz, nz, enter)
    while 0 <= i < nx and 0 <= j < ny and 0 <= k < nz:
        seen[i, j, k] = True
        if occupied[i, j, k]:
            return
        if ti < tj and ti <= tk:
            i, ti = i + si, ti + ui
        elif tj <= tk:
            j, tj = j + sj, tj + uj
        else:
            k, tk = k + sk, tk + uk
