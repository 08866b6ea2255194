"""Sun, sky, haze and shadows of a scene."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from .solids import Solids, corners, interval, kernel

NOISE_SIZE, CELLS_PER_WAVE = 256, 16
SHADOW_STEP = 0.2
"""Edge of a cell of the shadow maps, metres."""


class Light(NamedTuple):
    """What lights a scene; colours are linear RGB.

    Attributes:
        to_sun: [3] unit vector, global axes.
        sun, sky: [3] light of the sun and of the sky.
        zenith, horizon: [3] colours of the sky overhead and at the horizon.
        haze: 1 / metres, how fast distant things take the colour of the horizon.
        noise: [256, 256] table of the textures.
    """

    to_sun: np.ndarray
    sun: np.ndarray
    sky: np.ndarray
    zenith: np.ndarray
    horizon: np.ndarray
    haze: float
    noise: np.ndarray


class Shadow(NamedTuple):
    """Height maps over the plane z = 0 of the global frame, one value per cell.

    Attributes:
        origin: [2] global position of the corner of cell (0, 0), metres.
        top: [X, Y] float32 height at which the line from the cell to the sun last leaves a solid, -inf where it meets
            none: a point of that line is lit where it is not lower than this.
        cover: [X, Y] float32 height of the lowest surface straight above the cell, inf where there is none.
    """

    origin: np.ndarray
    top: np.ndarray
    cover: np.ndarray


def draw_light(rng: np.random.Generator, road_heading: float) -> Light:
    """A random time of a clear or hazy day."""
    elevation = math.radians(rng.uniform(24, 58))
    azimuth = road_heading + rng.choice([-1, 1]) * rng.uniform(0.5, 2.6)
    warmth = 1 - (math.degrees(elevation) - 24) / 34
    to_sun = np.array(
        [math.cos(azimuth) * math.cos(elevation), math.sin(azimuth) * math.cos(elevation), math.sin(elevation)]
    )
    sun = np.array([1.0, 0.93 - 0.12 * warmth, 0.84 - 0.28 * warmth]) * rng.uniform(2.0, 2.6)
    sky = np.array([0.72, 0.84, 1.0]) * rng.uniform(0.34, 0.46)
    grey = rng.uniform(0.0, 0.5)
    zenith = (1 - grey) * np.array([0.12, 0.28, 0.62]) + grey * np.array([0.46, 0.52, 0.58])
    horizon = np.array([0.66, 0.74, 0.82]) + np.array([0.14, 0.02, -0.10]) * warmth
    return Light(to_sun, sun, sky, zenith, horizon, 1 / rng.uniform(220, 600), noise_table(rng))


def empty_shadow(low: np.ndarray, high: np.ndarray) -> Shadow:
    """Maps without any solid over the rectangle from `low` to `high` ([2], metres)."""
    shape = tuple(np.ceil((high - low) / SHADOW_STEP).astype(int))
    return Shadow(low.astype(np.float64), np.full(shape, -np.inf, np.float32), np.full(shape, np.inf, np.float32))


def add_shadows(shadow: Shadow, solids: Solids, to_sun: np.ndarray) -> Shadow:
    """The maps with the shadows of more solids in them."""
    result = Shadow(shadow.origin, shadow.top.copy(), shadow.cover.copy())
    points = corners(solids)
    shear = to_sun[:2] / to_sun[2]
    slanted = points[..., :2] - points[..., 2:] * shear
    _extents(
        solids.geometry, _cells(slanted, shadow), shadow.origin, shear[0], shear[1], result.top, result.cover, True
    )
    _extents(solids.geometry, _cells(points[..., :2], shadow), shadow.origin, 0.0, 0.0, result.top, result.cover, False)
    return result


def _cells(points: np.ndarray, shadow: Shadow) -> np.ndarray:
    index = (points - shadow.origin) / SHADOW_STEP
    low, high = np.floor(index.min(1)).astype(np.int64), np.floor(index.max(1)).astype(np.int64) + 1
    return np.concatenate((np.clip(low, 0, shadow.top.shape), np.clip(high, 0, shadow.top.shape)), -1)


@kernel
def _extents(geometry, cells, origin, slope_x, slope_y, top, cover, towards_sun):
    for p in range(cells.shape[0]):
        for i in range(cells[p, 0], cells[p, 2]):
            x = origin[0] + (i + 0.5) * SHADOW_STEP
            for j in range(cells[p, 1], cells[p, 3]):
                y = origin[1] + (j + 0.5) * SHADOW_STEP
                t0, t1 = interval(geometry, p, x, y, 0.0, slope_x, slope_y, 1.0)
                if t0 > t1:
                    continue
                if towards_sun:
                    top[i, j] = max(top[i, j], t1)
                else:
                    cover[i, j] = min(cover[i, j], max(t0, 0.0))


@kernel
def sunlight(shadow, light, x, y, z):
    """Share of the sun that reaches a point, bilinear between the four nearest cells."""
    fx = (x - z * light.to_sun[0] / light.to_sun[2] - shadow.origin[0]) / SHADOW_STEP - 0.5
    fy = (y - z * light.to_sun[1] / light.to_sun[2] - shadow.origin[1]) / SHADOW_STEP - 0.5
    top = shadow.top
    if not (0.0 <= fx < top.shape[0] - 1.001 and 0.0 <= fy < top.shape[1] - 1.001):
        return 1.0
    i, j = int(fx), int(fy)
    a, b, level = fx - i, fy - j, z + 0.12
    lit = 0.0
    if top[i, j] <= level:
        lit += (1 - a) * (1 - b)
    if top[i + 1, j] <= level:
        lit += a * (1 - b)
    if top[i, j + 1] <= level:
        lit += (1 - a) * b
    if top[i + 1, j + 1] <= level:
        lit += a * b
    return lit


@kernel
def skylight(shadow, x, y):
    """Share of the sky that reaches a point of the ground: dark under low things, bilinear."""
    fx, fy = (x - shadow.origin[0]) / SHADOW_STEP - 0.5, (y - shadow.origin[1]) / SHADOW_STEP - 0.5
    cover = shadow.cover
    if not (0.0 <= fx < cover.shape[0] - 1.001 and 0.0 <= fy < cover.shape[1] - 1.001):
        return 1.0
    i, j = int(fx), int(fy)
    a, b = fx - i, fy - j
    dark = (1 - a) * (1 - b) * math.exp(-cover[i, j] / 0.7) + a * (1 - b) * math.exp(-cover[i + 1, j] / 0.7)
    dark += (1 - a) * b * math.exp(-cover[i, j + 1] / 0.7) + a * b * math.exp(-cover[i + 1, j + 1] / 0.7)
    return 1.0 - 0.85 * dark


@kernel
def texture_noise(noise, x, y, wavelength, blur, seed):
    """Fractal noise in about -1..1; fades out where the pixel footprint `blur` is coarser than it.

    Args:
        noise: [n, n] periodic table, see :func:`noise_table`.
        x, y: position, metres.
        wavelength: of the coarsest octave, metres.
        blur: metres.
        seed: float, shifts the table, so that textures differ.
    """
    visible = min(1.6 - 1.6 * blur / wavelength, 1.0)
    if visible <= 0.0:
        return 0.0
    n, scale = noise.shape[0], CELLS_PER_WAVE / wavelength
    fx, fy = x * scale + seed * 37.0, y * scale + seed * 59.0
    i, j = math.floor(fx), math.floor(fy)
    a, b = fx - i, fy - j
    i0, j0 = i & (n - 1), j & (n - 1)
    i1, j1 = (i0 + 1) & (n - 1), (j0 + 1) & (n - 1)
    low = noise[i0, j0] * (1 - a) + noise[i1, j0] * a
    high = noise[i0, j1] * (1 - a) + noise[i1, j1] * a
    return visible * (low * (1 - b) + high * b)


def noise_table(rng: np.random.Generator) -> np.ndarray:
    """Four octaves of periodic value noise, [256, 256] float64, zero mean, about -1..1."""
    total = np.zeros((NOISE_SIZE, NOISE_SIZE))
    for octave in range(4):
        n = NOISE_SIZE // CELLS_PER_WAVE * 2**octave
        lattice = rng.uniform(-1, 1, (n, n))
        position = np.arange(NOISE_SIZE) * n / NOISE_SIZE
        index = position.astype(int)
        share = position - index
        share = share * share * (3 - 2 * share)
        rows = lattice[index] * (1 - share[:, None]) + lattice[(index + 1) % n] * share[:, None]
        total += 0.6 * 0.6**octave * (rows[:, index] * (1 - share) + rows[:, (index + 1) % n] * share)
    return total - total.mean()
