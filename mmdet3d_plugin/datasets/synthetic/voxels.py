"""Casting columns of voxels through solids, and rays through voxels (Numba)."""

from __future__ import annotations

import math

import numpy as np

from .road import ground_class, road_coordinates
from .solids import Solids, corners, interval, kernel

LEAST_OVERLAP = 0.05
"""A voxel belongs to a solid that reaches into it by more than this along the vertical, metres."""
SAMPLES = 4
"""A column belongs to a solid that covers any of SAMPLES x SAMPLES points of its footprint, the border included."""


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
) -> None:
    """Write the index of the owning object into every voxel that a solid reaches; later solids overwrite earlier ones.

    Args:
        solids: P solids, global frame.
        order: indices of the solids, least important first.
        global_from_frame: [4, 4] pose of the label frame, which may be tilted.
        lower, step: [3] lower corner of the grid and edges of a voxel, metres.
        owner: [X, Y, Z] int32, written in place.
    """
    frame_from_global = np.linalg.inv(global_from_frame)
    points = corners(solids) @ frame_from_global[:3, :3].T + frame_from_global[:3, 3]
    _paint(
        solids.geometry,
        solids.owner,
        order,
        _rectangles(points, lower, step, owner.shape[:2]),
        global_from_frame,
        lower,
        step,
        owner,
    )


@kernel
def _paint(geometry, owners, order, rectangles, pose, lower, step, owner):
    bx, by, bz = pose[0, 2], pose[1, 2], pose[2, 2]
    layers = owner.shape[2]
    for p in order:
        for i in range(rectangles[p, 0], rectangles[p, 2]):
            for j in range(rectangles[p, 1], rectangles[p, 3]):
                low, high = math.inf, -math.inf
                for k in range(SAMPLES * SAMPLES):
                    x = lower[0] + (i + (k // SAMPLES) / (SAMPLES - 1)) * step[0]
                    y = lower[1] + (j + (k % SAMPLES) / (SAMPLES - 1)) * step[1]
                    ox = pose[0, 0] * x + pose[0, 1] * y + pose[0, 3]
                    oy = pose[1, 0] * x + pose[1, 1] * y + pose[1, 3]
                    oz = pose[2, 0] * x + pose[2, 1] * y + pose[2, 3]
                    t0, t1 = interval(geometry, p, ox, oy, oz, bx, by, bz)
                    if t0 <= t1:
                        low, high = min(low, t0), max(high, t1)
                if low > high:
                    continue
                first = max(int(math.floor((low - lower[2]) / step[2])), 0)
                last = min(int(math.floor((high - lower[2]) / step[2])), layers - 1)
                for k in range(first, last + 1):
                    bottom = lower[2] + k * step[2]
                    if min(high, bottom + step[2]) - max(low, bottom) > LEAST_OVERLAP:
                        owner[i, j, k] = owners[p]


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
            k = int(math.floor((z - 1e-6 - lower[2]) / step[2]))
            if 0 <= k < owner.shape[2]:
                gx = pose[0, 0] * x + pose[0, 1] * y + pose[0, 2] * z + pose[0, 3]
                gy = pose[1, 0] * x + pose[1, 1] * y + pose[1, 2] * z + pose[1, 3]
                s, d = road_coordinates(ground, gx, gy)
                classes[i, j, k] = ground_class(ground, s, d)
                owner[i, j, k] = -2


@kernel
def hollow(owner, pose, lower, step):
    """Free the voxels (-1) whose six neighbours are all occupied: lidar labels are surfaces.

    What lies below the ground or outside of the grid counts as occupied.
    """
    nx, ny, nz = owner.shape
    inner = np.zeros(owner.shape, np.bool_)
    for i in range(nx):
        for j in range(ny):
            x, y = lower[0] + (i + 0.5) * step[0], lower[1] + (j + 0.5) * step[1]
            floor = -(pose[2, 0] * x + pose[2, 1] * y + pose[2, 3]) / pose[2, 2]
            for k in range(nz):
                if owner[i, j, k] == -1:
                    continue
                inner[i, j, k] = (
                    (i == 0 or owner[i - 1, j, k] != -1) and (i == nx - 1 or owner[i + 1, j, k] != -1)
                    and (j == 0 or owner[i, j - 1, k] != -1) and (j == ny - 1 or owner[i, j + 1, k] != -1)
                    and (k == nz - 1 or owner[i, j, k + 1] != -1)
                    and (k == 0 or owner[i, j, k - 1] != -1 or lower[2] + k * step[2] < floor)
                )  # fmt: skip
    for i in range(nx):
        for j in range(ny):
            for k in range(nz):
                if inner[i, j, k]:
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
    shape = occupied.shape
    cell, stride = np.empty(3, np.int64), np.empty(3, np.int64)
    t_next, t_delta = np.empty(3), np.empty(3)
    for r in range(directions.shape[0]):
        enter, leave = 0.0, math.inf
        for a in range(3):
            o, d = (origin[a] - lower[a]) / step[a], directions[r, a] / step[a]
            if d == 0.0:
                if o < 0.0 or o >= shape[a]:
                    leave = -1.0
                continue
            t0, t1 = -o / d, (shape[a] - o) / d
            enter, leave = max(enter, min(t0, t1)), min(leave, max(t0, t1))
        if enter >= leave:
            continue
        for a in range(3):
            o, d = (origin[a] - lower[a]) / step[a], directions[r, a] / step[a]
            at = o + d * enter
            cell[a] = min(max(int(math.floor(at)), 0), shape[a] - 1)
            stride[a] = 1 if d > 0.0 else -1
            t_delta[a] = abs(1.0 / d) if d != 0.0 else math.inf
            t_next[a] = (cell[a] + (1 if d > 0.0 else 0) - o) / d if d != 0.0 else math.inf
        while True:
            seen[cell[0], cell[1], cell[2]] = True
            if occupied[cell[0], cell[1], cell[2]]:
                break
            a = 0 if t_next[0] < t_next[1] else 1
            if t_next[2] < t_next[a]:
                a = 2
            cell[a] += stride[a]
            if cell[a] < 0 or cell[a] >= shape[a]:
                break
            t_next[a] += t_delta[a]
