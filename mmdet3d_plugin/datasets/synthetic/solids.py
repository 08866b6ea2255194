"""Convex solids and the intersection of a line with one of them, in Numba.

Images, lidar, voxel labels and shadows all rest on the one function :func:`interval`: pixels and lidar beams are lines
from a sensor, a column of voxels is a line along the vertical of the label frame, a shadow is a line to the sun.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ...machine_code import compiled

kernel = compiled(error_model="numpy")
"""Compiled on the first call, kept on disk."""
BOX, ELLIPSOID, CYLINDER, AXLE, CABIN = range(5)
"""Shapes inscribed in an upright box: the box, an ellipsoid, cylinders along the up and the left axis, and a box that
narrows towards its top, like the upper half of a car."""
TAPER_X, TAPER_Y = 0.62, 0.84  # length and width of the top of a CABIN as shares of those of its foot

GROUND, SKY = -1, -2
"""What a ray meets when it meets no solid."""


class Solids(NamedTuple):
    """All P solids of a scene at one instant, global frame.

    Attributes:
        geometry: [P, 9] float64 centre x, y, z (metres), cosine and sine of the yaw, half extents along the solid's own
            forward, left and up axes (metres), shape (BOX, ELLIPSOID, ...).
        colour: [P, 3] float64 linear RGB albedo.
        material: [P] int64, see `shading`.
        owner: [P] int64 index of the object that the solid belongs to.
    """

    geometry: np.ndarray
    colour: np.ndarray
    material: np.ndarray
    owner: np.ndarray


@kernel
def _slab(a, b):
    if abs(b) < 1e-12:
        return (-math.inf, math.inf) if abs(a) <= 1.0 else (math.inf, -math.inf)
    t, u = (-1.0 - a) / b, (1.0 - a) / b
    return (t, u) if t < u else (u, t)


@kernel
def _ball(aa, ab, bb):
    """Solve |a + t b|^2 <= 1, given the three scalar products."""
    if bb < 1e-18:
        return (-math.inf, math.inf) if aa <= 1.0 else (math.inf, -math.inf)
    discriminant = ab * ab - bb * (aa - 1.0)
    if discriminant < 0.0:
        return math.inf, -math.inf
    root = math.sqrt(discriminant)
    return (-ab - root) / bb, (-ab + root) / bb


@kernel
def _below(a, b):
    """Solve a + t b <= 0."""
    if abs(b) < 1e-12:
        return (-math.inf, math.inf) if a <= 0.0 else (math.inf, -math.inf)
    return (-math.inf, -a / b) if b > 0.0 else (-a / b, math.inf)


@kernel
def _wedge(a, b, az, bz, taper):
    """Solve |a + t b| <= (1 + taper) / 2 - (1 - taper) / 2 (az + t bz): two sides that lean inwards."""
    lean = 0.5 * (1.0 - taper)
    foot = 0.5 * (1.0 + taper) - lean * az
    t0, t1 = _below(a - foot, b + lean * bz)
    u0, u1 = _below(-a - foot, -b + lean * bz)
    return max(t0, u0), min(t1, u1)


@kernel
def interval(geometry, i, ox, oy, oz, dx, dy, dz):
    """Where the line o + t d is inside solid i: (t entry, t exit), entry > exit where it misses."""
    c, s = geometry[i, 3], geometry[i, 4]
    hx, hy, hz = geometry[i, 5], geometry[i, 6], geometry[i, 7]
    px, py = ox - geometry[i, 0], oy - geometry[i, 1]
    ax, ay, az = (c * px + s * py) / hx, (c * py - s * px) / hy, (oz - geometry[i, 2]) / hz
    bx, by, bz = (c * dx + s * dy) / hx, (c * dy - s * dx) / hy, dz / hz
    shape = geometry[i, 8]
    if shape == ELLIPSOID:
        return _ball(ax * ax + ay * ay + az * az, ax * bx + ay * by + az * bz, bx * bx + by * by + bz * bz)
    if shape == BOX:
        t0, t1 = _slab(ax, bx)
        u0, u1 = _slab(ay, by)
        t0, t1 = max(t0, u0), min(t1, u1)
    elif shape == CABIN:
        t0, t1 = _wedge(ax, bx, az, bz, TAPER_X)
        u0, u1 = _wedge(ay, by, az, bz, TAPER_Y)
        t0, t1 = max(t0, u0), min(t1, u1)
    else:
        if shape == AXLE:
            ay, az, by, bz = az, ay, bz, by
        t0, t1 = _ball(ax * ax + ay * ay, ax * bx + ay * by, bx * bx + by * by)
    u0, u1 = _slab(az, bz)
    return max(t0, u0), min(t1, u1)


@kernel
def local_hit(geometry, i, x, y, z):
    """Surface point of solid i: local position (metres) and local unit normal, six numbers."""
    c, s = geometry[i, 3], geometry[i, 4]
    px, py, lz = x - geometry[i, 0], y - geometry[i, 1], z - geometry[i, 2]
    lx, ly = c * px + s * py, c * py - s * px
    hx, hy, hz = geometry[i, 5], geometry[i, 6], geometry[i, 7]
    qx, qy, qz = lx / hx, ly / hy, lz / hz
    shape = geometry[i, 8]
    nx, ny, nz = 0.0, 0.0, 0.0
    if shape == BOX:
        if abs(qx) >= abs(qy) and abs(qx) >= abs(qz):
            nx = math.copysign(1.0, qx)
        elif abs(qy) >= abs(qz):
            ny = math.copysign(1.0, qy)
        else:
            nz = math.copysign(1.0, qz)
        return lx, ly, lz, nx, ny, nz
    if shape == CABIN:
        ex = abs(qx) - 0.5 * (1.0 + TAPER_X) + 0.5 * (1.0 - TAPER_X) * qz
        ey = abs(qy) - 0.5 * (1.0 + TAPER_Y) + 0.5 * (1.0 - TAPER_Y) * qz
        if qz >= 1.0 - 1e-6 or max(ex, ey) < -1e-3:
            return lx, ly, lz, 0.0, 0.0, math.copysign(1.0, qz)
        nx = math.copysign(1.0 / hx, qx) if ex >= ey else 0.0
        ny = math.copysign(1.0 / hy, qy) if ex < ey else 0.0
        nz = 0.5 * (1.0 - (TAPER_X if ex >= ey else TAPER_Y)) / hz
        norm = math.sqrt(nx * nx + ny * ny + nz * nz)
        return lx, ly, lz, nx / norm, ny / norm, nz / norm
    if shape == CYLINDER and abs(qz) >= math.sqrt(qx * qx + qy * qy):
        return lx, ly, lz, 0.0, 0.0, math.copysign(1.0, qz)
    if shape == AXLE and abs(qy) >= math.sqrt(qx * qx + qz * qz):
        return lx, ly, lz, 0.0, math.copysign(1.0, qy), 0.0
    nx, ny, nz = qx / hx, qy / hy, qz / hz
    if shape == CYLINDER:
        nz = 0.0
    elif shape == AXLE:
        ny = 0.0
    norm = math.sqrt(nx * nx + ny * ny + nz * nz) + 1e-12
    return lx, ly, lz, nx / norm, ny / norm, nz / norm


@kernel
def nearest(geometry, members, begin, end, reach, ox, oy, oz, dx, dy, dz, t_max):
    """First surface along a ray: (t, index of the solid, GROUND or SKY).

    Args:
        geometry: of the solids.
        members, begin, end: members[begin:end] are the solids that the ray may meet, ordered by `reach`.
        reach: [P] least t at which a ray can meet each solid.
        ox, oy, oz, dx, dy, dz: the ray, global frame.
        t_max: rays end here; SKY is returned beyond.
    """
    t_best, found = t_max, SKY
    if dz < 0.0 and -oz / dz < t_best:
        t_best, found = -oz / dz, GROUND
    for k in range(begin, end):
        i = members[k]
        if reach[i] >= t_best:
            break
        t0, t1 = interval(geometry, i, ox, oy, oz, dx, dy, dz)
        if 1e-3 < t0 < t_best and t0 <= t1:
            t_best, found = t0, i
    return t_best, found


def corners(solids: Solids) -> np.ndarray:
    """Corners of the bounding boxes, global frame, metres: [P, 8, 3]."""
    signs = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], np.float64)
    local = solids.geometry[:, None, 5:8] * signs
    c, s = solids.geometry[:, None, 3], solids.geometry[:, None, 4]
    turned = np.stack((c * local[..., 0] - s * local[..., 1], s * local[..., 0] + c * local[..., 1], local[..., 2]), -1)
    return turned + solids.geometry[:, None, :3]


@kernel
def _map_points(points, rotation, shift):
    result = np.empty_like(points)
    for n in range(len(points)):
        x, y, z = points[n, 0], points[n, 1], points[n, 2]
        for a in range(3):
            result[n, a] = rotation[a, 0] * x + rotation[a, 1] * y + rotation[a, 2] * z + shift[a]
    return result


def transform(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Apply a [4, 4] transform to points [..., 3], or a [3, 3] rotation to directions; float64.

    Not `@`: the sums are the same on every machine, and BLAS would start threads in every worker.
    """
    shift = matrix[:3, 3] if matrix.shape == (4, 4) else np.zeros(3)
    flat = np.ascontiguousarray(points, np.float64).reshape(-1, 3)
    return _map_points(flat, np.ascontiguousarray(matrix[:3, :3]), np.ascontiguousarray(shift)).reshape(points.shape)


@kernel
def count_points(points, boxes):
    """Points [N, 3] inside each of the boxes [P, 9] (rows as in `Solids.geometry`), borders included: [P] int64."""
    counts = np.zeros(len(boxes), np.int64)
    for p in range(len(boxes)):
        c, s, reach = boxes[p, 3], boxes[p, 4], boxes[p, 5] + boxes[p, 6]
        for n in range(len(points)):
            x, y = points[n, 0] - boxes[p, 0], points[n, 1] - boxes[p, 1]
            if abs(x) > reach or abs(y) > reach or abs(points[n, 2] - boxes[p, 2]) > boxes[p, 7]:
                continue
            if abs(c * x + s * y) <= boxes[p, 5] and abs(c * y - s * x) <= boxes[p, 6]:
                counts[p] += 1
    return counts
