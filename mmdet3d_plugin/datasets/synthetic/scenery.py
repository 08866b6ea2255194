"""Movable things, street furniture, houses and plants."""

from __future__ import annotations

import numpy as np

from .parts import (
    BRICK,
    DARK,
    FACADE,
    FACADES,
    FOLIAGE,
    HI_VIS,
    METAL,
    PLAIN,
    SLATS,
    STRIPES,
    WHITE,
    WOOD,
    Part,
    choice,
    paint,
    part,
)
from .solids import BOX, CYLINDER, ELLIPSOID


def barrier(rng: np.random.Generator) -> tuple[Part, ...]:
    """A striped road barrier, 1.9 m across; x is its thin side, as in nuScenes."""
    return (part(BOX, 0, 0, (0, 0.22), 0.55, 1.9, METAL), part(BOX, 0, 0, (0.22, 1.0), 0.3, 1.9, HI_VIS, STRIPES))


def cone(rng: np.random.Generator) -> tuple[Part, ...]:
    """A traffic cone, 0.8 m high."""
    return (
        part(BOX, 0, 0, (0, 0.07), 0.42, 0.42, HI_VIS),
        part(CYLINDER, 0, 0, (0.07, 0.32), 0.30, 0.30, HI_VIS),
        part(CYLINDER, 0, 0, (0.32, 0.55), 0.21, 0.21, WHITE),
        part(CYLINDER, 0, 0, (0.55, 0.8), 0.13, 0.13, HI_VIS),
    )


def container(rng: np.random.Generator) -> tuple[Part, ...]:
    """A wheeled rubbish bin (pushable, pullable)."""
    colour = paint(rng, (0.42, 0.22, 0.55))
    return (
        part(BOX, 0, 0, (0.08, 1.05), 0.8, 1.2, colour, SLATS),
        part(BOX, 0, 0, (1.05, 1.15), 0.9, 1.3, paint(rng, (0.36, 0.18, 0.48))),
    )


def debris(rng: np.random.Generator) -> tuple[Part, ...]:
    """A heap of boxes."""
    box = (0.50, 0.26, 0.58)
    return (
        part(BOX, 0, 0, (0, 0.5), 0.7, 0.8, paint(rng, box)),
        part(BOX, 0.2, 0.5, (0, 0.3), 0.5, 0.5, paint(rng, box)),
        part(BOX, -0.1, 0, (0.5, 0.8), 0.4, 0.5, paint(rng, box)),
    )


def bicycle_rack(rng: np.random.Generator) -> tuple[Part, ...]:
    """A rail with hoops and a low roof."""
    colour = paint(rng, (0.46, 0.24, 0.62))
    hoops = [part(BOX, x, 0, (0, 0.8), 0.06, 0.7, colour) for x in np.linspace(-1.35, 1.35, 7)]
    return (*hoops, part(BOX, 0, 0, (0.76, 0.84), 2.9, 0.1, colour), part(BOX, 0, 0, (0.02, 0.08), 2.9, 0.8, METAL))


def bench(rng: np.random.Generator) -> tuple[Part, ...]:
    """A street bench with a planter box."""
    colour = paint(rng, (0.48, 0.25, 0.60))
    return (
        part(BOX, 0, 0, (0.05, 0.45), 1.8, 0.5, colour, SLATS),
        part(BOX, 0, -0.25, (0.45, 0.9), 1.8, 0.12, colour, SLATS),
    )


def building(rng: np.random.Generator, length: float, depth: float, height: float) -> tuple[Part, ...]:
    """A house with windows, a plinth and a roof."""
    colour = paint(rng, choice(rng, FACADES), 0.15)
    roof = paint(rng, (0.42, 0.30, 0.27))
    parts = [
        Part(BOX, (0, 0, height / 2), (length, depth, height), colour, FACADE if rng.random() < 0.8 else BRICK),
        Part(BOX, (0, 0, 0.3), (length + 0.16, depth + 0.16, 0.6), tuple(0.6 * c for c in colour), PLAIN),  # type: ignore[arg-type]
        Part(BOX, (0, 0, height + 0.15), (length + 0.5, depth + 0.5, 0.3), roof, PLAIN),
    ]
    if rng.random() < 0.5:
        parts.append(Part(BOX, (0, 0, height + 1.0), (length * 0.6, depth * 0.6, 1.6), roof, BRICK))
    return tuple(parts)


def wall(rng: np.random.Generator, length: float) -> tuple[Part, ...]:
    """A garden wall or a wooden fence."""
    if rng.random() < 0.5:
        return (Part(BOX, (0, 0, 0.8), (length, 0.12, 1.6), paint(rng, WOOD), SLATS),)
    return (
        Part(BOX, (0, 0, 0.65), (length, 0.3, 1.3), paint(rng, (0.62, 0.40, 0.33)), BRICK),
        Part(BOX, (0, 0, 1.35), (length, 0.4, 0.1), METAL),
    )


def street_light(rng: np.random.Generator) -> tuple[Part, ...]:
    """A lamp post; its arm points along x."""
    return (
        Part(CYLINDER, (0, 0, 3.5), (0.22, 0.22, 7.0), METAL),
        Part(CYLINDER, (0, 0, 0.4), (0.34, 0.34, 0.8), DARK),
        Part(BOX, (1.0, 0, 6.95), (2.2, 0.12, 0.12), METAL),
        Part(BOX, (2.0, 0, 6.86), (0.7, 0.25, 0.1), WHITE),
    )


def traffic_light(rng: np.random.Generator) -> tuple[Part, ...]:
    """A signal on a pole."""
    lamp = ((0.9, 0.1, 0.08), (0.1, 0.8, 0.3))[int(rng.integers(2))]
    return (
        Part(CYLINDER, (0, 0, 1.6), (0.2, 0.2, 3.2), DARK),
        Part(BOX, (0, 0, 3.3), (0.3, 0.36, 1.0), DARK),
        *(Part(BOX, (side * 0.16, 0, 3.55), (0.04, 0.24, 0.24), lamp) for side in (-1, 1)),
    )


def sign(rng: np.random.Generator) -> tuple[Part, ...]:
    """A traffic sign; its face looks along x."""
    face = ((0.1, 0.25, 0.75), (0.85, 0.1, 0.1), (0.95, 0.8, 0.1))[int(rng.integers(3))]
    return (Part(CYLINDER, (0, 0, 1.25), (0.12, 0.12, 2.5), METAL), Part(BOX, (0.07, 0, 2.5), (0.08, 0.75, 0.75), face))


def tree(rng: np.random.Generator, size: float = 1.0) -> tuple[Part, ...]:
    """A tree: trunk and a crown of three to five ellipsoids. All of it is vegetation."""
    trunk, leaf, h = paint(rng, (0.30, 0.26, 0.14)), paint(rng, (0.17, 0.38, 0.11)), size * rng.uniform(2.0, 2.8)
    radius = size * rng.uniform(1.3, 1.9)
    parts = [Part(CYLINDER, (0, 0, (h + 0.6) / 2), (0.32, 0.32, h + 0.6), trunk, FOLIAGE)]
    for k in range(int(rng.integers(3, 6))):
        angle, off = rng.uniform(0, 2 * np.pi), 0.0 if k == 0 else radius * 0.55
        d, z = (
            2 * radius * (1.0 if k == 0 else rng.uniform(0.6, 0.85)),
            h + radius * (0.75 if k == 0 else rng.uniform(0.5, 1.3)),
        )
        parts.append(
            Part(
                ELLIPSOID,
                (off * np.cos(angle), off * np.sin(angle), z),
                (d, d, d * rng.uniform(0.75, 0.95)),
                paint(rng, leaf, 0.15),
                FOLIAGE,
            )
        )
    return tuple(parts)


def conifer(rng: np.random.Generator, size: float = 1.0) -> tuple[Part, ...]:
    """A fir: stacked flat ellipsoids."""
    leaf, top = paint(rng, (0.10, 0.30, 0.14)), size * rng.uniform(4.5, 6.5)
    layers = [(0.18, 1.0), (0.38, 0.8), (0.58, 0.58), (0.78, 0.34)]
    crown = [
        Part(
            ELLIPSOID,
            (0, 0, top * (z + 0.1)),
            (2.8 * r * size, 2.8 * r * size, top * 0.42),
            paint(rng, leaf, 0.1),
            FOLIAGE,
        )
        for z, r in layers
    ]
    return (Part(CYLINDER, (0, 0, 0.6), (0.3, 0.3, 1.2), (0.30, 0.24, 0.14), FOLIAGE), *crown)


def hedge(rng: np.random.Generator, length: float) -> tuple[Part, ...]:
    """A trimmed hedge."""
    leaf, h = paint(rng, (0.16, 0.36, 0.10)), rng.uniform(0.9, 1.5)
    return (Part(BOX, (0, 0, h / 2), (length, 0.8, h), leaf, FOLIAGE),)


def bush(rng: np.random.Generator) -> tuple[Part, ...]:
    """A round bush."""
    leaf, d = paint(rng, (0.18, 0.40, 0.12)), rng.uniform(1.0, 2.0)
    return (
        Part(ELLIPSOID, (0, 0, 0.35 * d), (d, d, 0.9 * d), leaf, FOLIAGE),
        Part(ELLIPSOID, (0.4 * d, 0.2, 0.25 * d), (0.8 * d, 0.7 * d, 0.7 * d), paint(rng, leaf), FOLIAGE),
    )
