"""A software renderer for label volumes: one ray per sample of a pixel, walked from voxel to voxel.

Numba compiles it once per machine (a few seconds). Frames and units: the frame of the grid, metres; colours
are linear RGB in 0..1. "Padded" volumes have one empty cell on every side, so that neighbours need no bounds
check.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from ..machine_code import compiled
from ..structures import VoxelGrid

Vector = tuple[float, float, float]
_kernel = compiled(nogil=True)

SAMPLES = 2  # samples of a pixel along each axis
BACKGROUND = (0.0018, 0.0027, 0.0050)
SUN_LIGHT = 0.6
SUN = (-0.52, 0.36, 1.0)
SUN_SPREAD = 0.05  # every sample of a pixel sees another point of the sun: soft edges of shadows
FOG = 0.0042  # per metre


@dataclass(frozen=True)
class Camera:
    """A pinhole camera.

    Attributes:
        eye, target: [3] where it is and what it looks at, metres.
        field_of_view: along the shorter side of the picture, radians.
    """

    eye: tuple[float, float, float]
    target: tuple[float, float, float]
    field_of_view: float = 0.72

    def axes(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Unit vectors to the right, up and forward of the picture; z is up in the world."""
        forward = np.subtract(self.target, self.eye)
        forward = forward / np.linalg.norm(forward)
        right = np.cross(forward, (0.0, 0.0, 1.0))
        right = right / np.linalg.norm(right)
        return right, np.cross(right, forward), forward


@dataclass(frozen=True)
class Boxes:
    """Solid boxes beside the voxels.

    Attributes:
        corners: [K, 2, 3] lower and upper corner, axis-aligned, metres.
        colours: [K, 3] linear RGB.
    """

    corners: np.ndarray
    colours: np.ndarray


def linear_from_srgb(colours: np.ndarray) -> np.ndarray:
    """[..., 3] bytes as stored in images to linear light in 0..1 (gamma 2.2)."""
    return (np.asarray(colours, np.float64) / 255.0) ** 2.2


def render(
    cells: np.ndarray,
    palette: np.ndarray,
    grid: VoxelGrid,
    camera: Camera,
    size: tuple[int, int],
    boxes: Boxes,
) -> np.ndarray:
    """Picture of a volume.

    Args:
        cells: [Z, Y, X] uint8, 0 = empty, else index into the palette + 1.
        palette: [K, 3] uint8 RGB.
        grid: where the voxels are.
        camera: from where to look.
        size: (width, height) in pixels.
        boxes: drawn beside the voxels.

    Returns:
        [height, width, 3] uint8 RGB.
    """
    width, height = size[0] * SAMPLES, size[1] * SAMPLES
    right, up, forward = camera.axes()
    scale = 2.0 * np.tan(camera.field_of_view / 2) / min(width, height)
    # Ray through sample (u, v): forward + right * (u + 0.5 - width / 2) * scale + down * (v + 0.5 - height /
    # 2) * scale
    steps = np.stack((right * scale, -up * scale, forward))
    colours = linear_from_srgb(palette)
    grey = colours @ (0.2126, 0.7152, 0.0722)
    colours = 0.88 * colours + 0.12 * grey[:, None]  # palettes are loud
    frame = np.array((grid.lower, grid.voxel_size, grid.shape), np.float64)
    padded = np.pad(cells, 1)
    out = np.empty((height, width, 3), np.float32)
    bands = np.linspace(0, height, 4 * (os.cpu_count() or 1) + 1).astype(int)
    eye = np.asarray(camera.eye, np.float64)

    def paint(first: int, last: int) -> None:
        _paint(padded, colours, frame, eye, steps, boxes.corners, boxes.colours, out, first, last)

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        list(pool.map(paint, bands[:-1], bands[1:]))
    mean = out.reshape(size[1], SAMPLES, size[0], SAMPLES, 3).mean(axis=(1, 3))
    return (np.clip(mean, 0, 1) ** (1 / 2.2) * 255 + 0.5).astype(np.uint8)


@_kernel
def _paint(
    cells: np.ndarray,
    colours: np.ndarray,
    frame: np.ndarray,
    eye: np.ndarray,
    steps: np.ndarray,
    boxes: np.ndarray,
    box_colours: np.ndarray,
    out: np.ndarray,
    first: int,
    last: int,
) -> None:
    """Rows `first` to `last` of the samples; `frame` holds (lower corner, voxel size, shape) of the grid."""
    height, width = out.shape[:2]
    pixel = np.sqrt((steps[0] ** 2).sum()) * SAMPLES
    ex, ey, ez = eye[0], eye[1], eye[2]
    sun_norm = np.sqrt(SUN[0] ** 2 + SUN[1] ** 2 + SUN[2] ** 2)
    for v in range(first, last):
        for u in range(width):
            a, b = u + 0.5 - width / 2, v + 0.5 - height / 2
            dx = steps[2, 0] + steps[0, 0] * a + steps[1, 0] * b
            dy = steps[2, 1] + steps[0, 1] * a + steps[1, 1] * b
            dz = steps[2, 2] + steps[0, 2] * a + steps[1, 2] * b
            norm = np.sqrt(dx * dx + dy * dy + dz * dz)
            direction = (dx / norm, dy / norm, dz / norm)
            sun = (
                (SUN[0] + SUN_SPREAD * ((u % SAMPLES) - 0.5)) / sun_norm,
                (SUN[1] + SUN_SPREAD * ((v % SAMPLES) - 0.5)) / sun_norm,
                SUN[2] / sun_norm,
            )
            value, axis, t = _first_voxel(cells, frame, (ex, ey, ez), direction)
            box, box_axis, t_box = _first_box(boxes, (ex, ey, ez), direction)
            if box >= 0 and t_box < t:
                normal = -1.0 if direction[box_axis] > 0 else 1.0
                t = t_box
                light = _sky_light(box_axis, normal) + SUN_LIGHT * max(normal * sun[box_axis], 0.0)
                shown = box_colours[box]
            elif value > 0:
                point = (ex + t * direction[0], ey + t * direction[1], ez + t * direction[2])
                light = _light(cells, frame, point, axis, direction, sun, t * pixel)
                shown = colours[value - 1]
            else:
                light, shown = 0.0, colours[0]
            haze = (1.0 - np.exp(-t * FOG)) ** 2
            for k in range(3):
                out[v, u, k] = shown[k] * light * (1 - haze) + BACKGROUND[k] * haze


@_kernel
def _sky_light(axis: int, normal: float) -> float:
    """Light of the sky on a face: brightest from above."""
    return 0.36 + 0.12 * normal if axis == 2 else 0.36


@_kernel
def _slab(lower: float, upper: float, origin: float, direction: float) -> tuple[float, float]:
    """Distances at which a line enters and leaves one slab of a box."""
    if abs(direction) < 1e-12:
        return (-np.inf, np.inf) if lower <= origin < upper else (np.inf, -np.inf)
    a, b = (lower - origin) / direction, (upper - origin) / direction
    return (a, b) if a < b else (b, a)


@_kernel
def _enter(index: float, direction: float, last: int) -> int:
    """Cell at a continuous index on the rim or inside of the grid, seen along the direction of travel."""
    return min(max(int(np.floor(index + (1e-9 if direction > 0 else -1e-9))), 0), last)


@_kernel
def _first_voxel(cells: np.ndarray, frame: np.ndarray, origin: Vector, direction: Vector) -> tuple[int, int, float]:
    """First voxel along a ray (Amanatides & Woo, 1987): value (0 = none), axis of its face, distance."""
    near, far, axis = 0.0, np.inf, 2
    for a in range(3):
        t0, t1 = _slab(frame[0, a], frame[0, a] + frame[2, a] * frame[1, a], origin[a], direction[a])
        if t0 > near:
            near, axis = t0, a
        far = min(far, t1)
    if near >= far:
        return 0, 0, np.inf
    dx, dy, dz = direction[0] / frame[1, 0], direction[1] / frame[1, 1], direction[2] / frame[1, 2]
    px = (origin[0] - frame[0, 0]) / frame[1, 0] + near * dx
    py = (origin[1] - frame[0, 1]) / frame[1, 1] + near * dy
    pz = (origin[2] - frame[0, 2]) / frame[1, 2] + near * dz
    nx, ny, nz = int(frame[2, 0]), int(frame[2, 1]), int(frame[2, 2])
    x, y, z = _enter(px, dx, nx - 1), _enter(py, dy, ny - 1), _enter(pz, dz, nz - 1)
    tx, ty, tz = _next(px, x, dx, near), _next(py, y, dy, near), _next(pz, z, dz, near)
    t = near
    while True:
        value = cells[z + 1, y + 1, x + 1]
        if value:
            return value, axis, t
        if tx < ty and tx < tz:
            x, t, axis = x + (1 if dx > 0 else -1), tx, 0
            tx += abs(1 / dx)
            if x < 0 or x >= nx:
                return 0, 0, np.inf
        elif ty < tz:
            y, t, axis = y + (1 if dy > 0 else -1), ty, 1
            ty += abs(1 / dy)
            if y < 0 or y >= ny:
                return 0, 0, np.inf
        else:
            z, t, axis = z + (1 if dz > 0 else -1), tz, 2
            tz += abs(1 / dz)
            if z < 0 or z >= nz:
                return 0, 0, np.inf


@_kernel
def _next(index: float, cell: int, direction: float, t: float) -> float:
    """Distance at which a ray leaves its cell along one axis."""
    if abs(direction) < 1e-12:
        return np.inf
    return t + ((cell + 1 if direction > 0 else cell) - index) / direction


@_kernel
def _first_box(boxes: np.ndarray, origin: Vector, direction: Vector) -> tuple[int, int, float]:
    """First box along a ray: index (-1 = none), axis of the face met, distance."""
    best, best_axis, best_t = -1, 0, np.inf
    for k in range(len(boxes)):
        near, far, axis = 0.0, np.inf, -1
        for a in range(3):
            t0, t1 = _slab(boxes[k, 0, a], boxes[k, 1, a], origin[a], direction[a])
            if t0 > near:
                near, axis = t0, a
            far = min(far, t1)
        if axis >= 0 and near < far and near < best_t:
            best, best_axis, best_t = k, axis, near
    return best, best_axis, best_t


@_kernel
def _light(
    cells: np.ndarray,
    frame: np.ndarray,
    point: Vector,
    axis: int,
    direction: Vector,
    sun: Vector,
    footprint: float,
) -> float:
    """Light that a point on the face of a voxel sends out, relative to its colour.

    Sun (Lambert's law, hard shadow) plus sky; both are dimmed where neighbours stand in front of the face,
    and along the edges of the voxel while these are wider than a pixel (`footprint`: width of a pixel at the
    point, metres).
    """
    side = -1 if direction[axis] > 0 else 1
    b, c = (axis + 1) % 3, (axis + 2) % 3
    ib, ic = (point[b] - frame[0, b]) / frame[1, b], (point[c] - frame[0, c]) / frame[1, c]
    cb = min(max(int(np.floor(ib)), 0), int(frame[2, b]) - 1)
    cc = min(max(int(np.floor(ic)), 0), int(frame[2, c]) - 1)
    fb, fc = ib - cb, ic - cc
    front = int(np.floor((point[axis] - frame[0, axis]) / frame[1, axis] + 0.5 * side))
    sky = 0.0
    for i in range(2):
        for j in range(2):
            weight = (fb if i else 1 - fb) * (fc if j else 1 - fc)
            sky += weight * _openness(cells, axis, front, cb, cc, 2 * i - 1, 2 * j - 1)
    direct = max(side * sun[axis], 0.0)
    if direct > 0:
        lift = 1e-4 * side
        start = (
            point[0] + (lift if axis == 0 else 0.0),
            point[1] + (lift if axis == 1 else 0.0),
            point[2] + (lift if axis == 2 else 0.0),
        )
        if _first_voxel(cells, frame, start, sun)[0]:
            direct = 0.0
    coarse = footprint / min(frame[1, b], frame[1, c])
    edge = min(min(fb, 1 - fb), min(fc, 1 - fc))
    line = max(1 - edge / (max(coarse, 0.035) * 0.9), 0.0) * min(max((0.4 - coarse) / 0.32, 0.0), 1.0)
    return (_sky_light(axis, side) + SUN_LIGHT * direct) * (0.42 + 0.58 * sky) * (1 - 0.42 * line)


@_kernel
def _solid(cells: np.ndarray, axis: int, front: int, b: int, c: int) -> bool:
    """Whether a cell is taken; (front, b, c) are its indices along (axis, axis + 1, axis + 2), modulo 3."""
    if axis == 0:
        return cells[c + 1, b + 1, front + 1] > 0
    if axis == 1:
        return cells[b + 1, front + 1, c + 1] > 0
    return cells[front + 1, c + 1, b + 1] > 0


@_kernel
def _openness(cells: np.ndarray, axis: int, front: int, b: int, c: int, db: int, dc: int) -> float:
    """How open a corner of a face is, 0..1: fewer of the three cells before it are taken, more sky."""
    first, second = _solid(cells, axis, front, b + db, c), _solid(cells, axis, front, b, c + dc)
    if first and second:
        return 0.0
    corner = _solid(cells, axis, front, b + db, c + dc)
    return 1.0 - (int(first) + int(second) + int(corner)) / 3.0
