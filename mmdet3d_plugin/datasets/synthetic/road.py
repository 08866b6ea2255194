"""The road of a scene: centre line, cross section, crossing streets, and the class of every point of the ground.

Road coordinates are (s, d): metres along the centre line and metres to the left of it. Traffic keeps right, the ego
vehicle drives along +s on the side d < 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.spatial import cKDTree

from .catalog import DRIVEABLE, OTHER_FLAT, SIDEWALK, TERRAIN
from .solids import kernel

NODE_SPACING = 0.25
FIELD_STEP = 1.0
REACH = 75.0
"""Farther than this from the centre line the ground is terrain."""
INNER_LANE, OUTER_LANE = 3.5, 4.0


class Ground(NamedTuple):
    """What the kernels need to know about the ground.

    Attributes:
        field: [X, Y, 2] float64 road coordinates (s, d) at the nodes of a square raster, global axes.
        origin: [2] float64 global position of node (0, 0), metres.
        section: [6] float64 |d| where the median, the inner lanes, the outer lanes, the road, the kerb strip and the
            sidewalk end.
        crossings: [C, 2] float64 (s of the middle, half width of the carriageway) of the crossing streets.
    """

    field: np.ndarray
    origin: np.ndarray
    section: np.ndarray
    crossings: np.ndarray


@dataclass(frozen=True)
class Section:
    """Cross section of the road: |d| in metres at which each strip ends, from the middle outwards."""

    median: float
    inner: float
    outer: float
    road: float
    kerb: float
    sidewalk: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Section:
        """A random cross section: a median strip or kerb strips, with or without parking lanes."""
        median = float(rng.choice([0.0, 1.2]))
        outer = median + INNER_LANE + OUTER_LANE
        road = outer + float(rng.choice([0.0, 2.3], p=[0.3, 0.7]))
        kerb = road + (float(rng.uniform(0.8, 1.4)) if median == 0.0 else 0.0)
        return cls(median, median + INNER_LANE, outer, road, kerb, kerb + float(rng.uniform(3.0, 4.2)))

    @property
    def has_parking(self) -> bool:
        return self.road > self.outer

    def as_array(self) -> np.ndarray:
        return np.array([self.median, self.inner, self.outer, self.road, self.kerb, self.sidewalk])


class Road:
    """A winding road with at most 0.011 / m of curvature, and one or two crossing streets.

    Args:
        rng: source of every random choice.
        length: metres of centre line.
    """

    def __init__(self, rng: np.random.Generator, length: float) -> None:
        self.length = length
        self.section = Section.draw(rng)
        self.s = np.arange(0.0, length + NODE_SPACING, NODE_SPACING)
        bend, sway = rng.uniform(-0.006, 0.006), rng.uniform(0.001, 0.005)
        curvature = bend + sway * np.sin(2 * math.pi * self.s / rng.uniform(120, 220) + rng.uniform(0, 2 * math.pi))
        self.heading = rng.uniform(-math.pi, math.pi) + np.cumsum(curvature) * NODE_SPACING
        start = rng.uniform(400.0, 1600.0, 2)  # real maps are far from their origin too
        self.x = start[0] + np.cumsum(np.cos(self.heading)) * NODE_SPACING
        self.y = start[1] + np.cumsum(np.sin(self.heading)) * NODE_SPACING
        first = rng.uniform(95, 145)
        middles = [first] if length < 240 else [first, first + rng.uniform(75, 95)]
        self.crossings = np.array([(s, rng.uniform(4.0, 5.5)) for s in middles])

    def pose(self, s: np.ndarray | float, d: np.ndarray | float) -> np.ndarray:
        """Global x, y (metres) and heading of the centre line (radians) at road coordinates: [..., 3]."""
        heading = np.interp(s, self.s, self.heading)
        x = np.interp(s, self.s, self.x) - d * np.sin(heading)
        y = np.interp(s, self.s, self.y) + d * np.cos(heading)
        return np.stack(np.broadcast_arrays(x, y, heading), -1)

    def near_crossing(self, s: np.ndarray | float, margin: float) -> bool:
        """Whether s comes within `margin` metres of the carriageway of a crossing street."""
        return bool(np.any(np.abs(s - self.crossings[:, 0]) < self.crossings[:, 1] + margin))

    def ground(self) -> Ground:
        """The ground with its road coordinates rasterised: the inverse of `pose`, exact to millimetres."""
        low = np.array([self.x.min(), self.y.min()]) - REACH
        count = np.ceil((np.array([self.x.max(), self.y.max()]) + REACH - low) / FIELD_STEP).astype(int) + 1
        xs, ys = (low[a] + FIELD_STEP * np.arange(count[a]) for a in (0, 1))
        points = np.stack(np.meshgrid(xs, ys, indexing="ij"), -1)
        _, node = cKDTree(np.stack((self.x, self.y), -1)).query(points.reshape(-1, 2))
        node = node.reshape(points.shape[:2])
        c, s = np.cos(self.heading[node]), np.sin(self.heading[node])
        ex, ey = points[..., 0] - self.x[node], points[..., 1] - self.y[node]
        field = np.stack((self.s[node] + c * ex + s * ey, c * ey - s * ex), -1)
        return Ground(np.ascontiguousarray(field), low, self.section.as_array(), self.crossings)


@kernel
def road_coordinates(ground, x, y):
    """Road coordinates (s, d) of a global point, bilinear in the raster; d = 1e3 outside of it."""
    fx, fy = (x - ground.origin[0]) / FIELD_STEP, (y - ground.origin[1]) / FIELD_STEP
    field = ground.field
    if not (0.0 <= fx < field.shape[0] - 1.001 and 0.0 <= fy < field.shape[1] - 1.001):
        return 0.0, 1e3
    i, j = int(fx), int(fy)
    a, b = fx - i, fy - j
    w00, w10, w01, w11 = (1 - a) * (1 - b), a * (1 - b), (1 - a) * b, a * b
    s = w00 * field[i, j, 0] + w10 * field[i + 1, j, 0] + w01 * field[i, j + 1, 0] + w11 * field[i + 1, j + 1, 0]
    d = w00 * field[i, j, 1] + w10 * field[i + 1, j, 1] + w01 * field[i, j + 1, 1] + w11 * field[i + 1, j + 1, 1]
    return s, d


@kernel
def junction_distance(ground, s):
    """Metres from s to the carriageway of the nearest crossing street; negative inside it."""
    best = 1e9
    for k in range(ground.crossings.shape[0]):
        best = min(best, abs(s - ground.crossings[k, 0]) - ground.crossings[k, 1])
    return best


@kernel
def ground_class(ground, s, d):
    """Lidarseg id of the ground at road coordinates (s, d)."""
    section = ground.section
    a, q = abs(d), junction_distance(ground, s)
    if a > REACH:
        return TERRAIN
    if q < 0.0:
        return DRIVEABLE
    if a < section[0]:
        return OTHER_FLAT
    if a < section[3]:
        return DRIVEABLE
    kerb, walk = section[4] - section[3], section[5] - section[4]
    if a < section[4] or q < kerb:
        return OTHER_FLAT
    if a < section[5] or q < kerb + walk:
        return SIDEWALK
    return TERRAIN


@kernel
def classify_ground(ground, points):
    """Lidarseg ids of points of the ground, global frame: [N, >= 2] to [N] uint8."""
    classes = np.empty(len(points), np.uint8)
    for n in range(len(points)):
        s, d = road_coordinates(ground, points[n, 0], points[n, 1])
        classes[n] = ground_class(ground, s, d)
    return classes
