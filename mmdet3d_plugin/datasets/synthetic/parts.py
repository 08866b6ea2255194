"""What objects are built of: parts, materials and colours.

A blueprint (`actors`, `scenery`) is a tuple of :class:`Part` in the object frame (x forward, y left, z up,
origin on the ground under the middle of the object), metres. Annotated objects keep 2 cm clear of the ground,
so that no lidar return from the road lies on the border of their box.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .solids import AXLE

PLAIN, FACADE, FOLIAGE, BRICK, STRIPES, BODYWORK, GLASS, COACH, SLATS, WHEEL = range(10)
"""Materials: procedural textures of `shading`, anchored to the solid's own frame."""

Colour = tuple[float, float, float]
CLEARANCE = 0.02
RUBBER, DARK, METAL, SKIN, WINDOW = (
    (0.10,) * 3,
    (0.17, 0.17, 0.19),
    (0.52, 0.54, 0.57),
    (0.78, 0.58, 0.46),
    (0.16, 0.2, 0.25),
)
HI_VIS, AMBER, WHITE, WOOD = (0.95, 0.42, 0.08), (0.95, 0.70, 0.10), (0.92, 0.92, 0.90), (0.45, 0.32, 0.22)
CAR_PAINTS: tuple[Colour, ...] = (
    (0.12, 0.28, 0.62),
    (0.12, 0.28, 0.62),
    (0.62, 0.10, 0.10),
    (0.86, 0.87, 0.88),
    (0.16, 0.17, 0.20),
    (0.58, 0.60, 0.63),
    (0.10, 0.38, 0.58),
    (0.14, 0.20, 0.46),
)
CLOTHES: tuple[Colour, ...] = (
    (0.75, 0.12, 0.22),
    (0.80, 0.20, 0.45),
    (0.55, 0.15, 0.55),
    (0.85, 0.75, 0.70),
    (0.22, 0.20, 0.42),
    (0.70, 0.25, 0.15),
)
FACADES: tuple[Colour, ...] = (
    (0.78, 0.68, 0.54),
    (0.70, 0.52, 0.42),
    (0.66, 0.62, 0.58),
    (0.80, 0.76, 0.68),
    (0.60, 0.42, 0.36),
    (0.72, 0.66, 0.60),
)


@dataclass(frozen=True)
class Part:
    """One solid of an object: shape, centre and size (x, y, z) in the object frame, sRGB colour, material."""

    shape: int
    centre: tuple[float, float, float]
    size: tuple[float, float, float]
    colour: Colour
    material: int = PLAIN


def part(
    shape: int,
    x: float,
    y: float,
    z: tuple[float, float],
    length: float,
    width: float,
    colour: Colour,
    material: int = PLAIN,
) -> Part:
    """A part of an annotated object: middle x and y, lowest and highest z, length along x, width along y, metres."""
    low = max(z[0], CLEARANCE)
    return Part(shape, (x, y, (low + z[1]) / 2), (length, width, z[1] - low), colour, material)


def wheels(xs: tuple[float, ...], track: float, diameter: float, width: float = 0.24) -> list[Part]:
    """A pair of wheels at every x, `track` metres apart from outside to outside."""
    return [
        part(AXLE, x, side * (track - width) / 2, (0, diameter), diameter, width, RUBBER, WHEEL)
        for x in xs
        for side in (-1, 1)
    ]


def paint(rng: np.random.Generator, base: Colour, spread: float = 0.25) -> Colour:
    """A base colour with a random brightness and a slight random tint."""
    gain = 1 + spread * rng.uniform(-1, 1)
    return tuple(float(np.clip(c * gain * (1 + 0.06 * rng.uniform(-1, 1)), 0.02, 0.97)) for c in base)  # type: ignore[return-value]


def choice(rng: np.random.Generator, options: tuple[Colour, ...]) -> Colour:
    """One of some colours."""
    return options[int(rng.integers(len(options)))]
