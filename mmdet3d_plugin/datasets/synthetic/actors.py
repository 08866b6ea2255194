"""Vehicles, people and animals."""

from __future__ import annotations

import numpy as np

from .parts import (
    AMBER,
    BODYWORK,
    CAR_PAINTS,
    CLOTHES,
    COACH,
    DARK,
    GLASS,
    METAL,
    RUBBER,
    SKIN,
    SLATS,
    WHEEL,
    WHITE,
    WINDOW,
    Colour,
    Part,
    choice,
    paint,
    part,
    wheels,
)
from .solids import AXLE, BOX, CABIN, CYLINDER, ELLIPSOID


def car(rng: np.random.Generator, colour: Colour | None = None) -> tuple[Part, ...]:
    """A saloon or an estate, 4.0 - 4.9 m long."""
    length, width, height = rng.uniform(4.0, 4.9), rng.uniform(1.75, 1.95), rng.uniform(1.42, 1.62)
    colour = colour or paint(rng, choice(rng, CAR_PAINTS))
    belt, estate = 0.6 * height, bool(rng.random() < 0.4)
    middle, cabin = (-0.13 * length, 0.72 * length) if estate else (-0.05 * length, 0.62 * length)
    return (
        part(BOX, 0, 0, (0.26, belt), length, width, colour, BODYWORK),
        part(BOX, 0, 0, (0.2, 0.42), length + 0.08, width * 0.96, DARK),
        part(CABIN, middle, 0, (belt, height - 0.03), cabin, width * 0.94, WINDOW, GLASS),
        part(BOX, middle, 0, (height - 0.06, height), cabin * 0.62, width * 0.78, colour, BODYWORK),
        *wheels((-0.3 * length, 0.31 * length), width + 0.04, 0.66),
    )


def police_car(rng: np.random.Generator) -> tuple[Part, ...]:
    """A white car with a blue light bar."""
    parts = car(rng, (0.90, 0.91, 0.93))
    top = max(p.centre[2] + p.size[2] / 2 for p in parts)
    return (*parts, part(BOX, -0.3, 0, (top, top + 0.14), 0.3, 1.2, (0.08, 0.2, 0.95)))


def ambulance(rng: np.random.Generator) -> tuple[Part, ...]:
    """A white van with a red band."""
    body = (0.93, 0.93, 0.91)
    return (
        part(BOX, -0.7, 0, (0.35, 2.5), 4.4, 2.1, body),
        part(BOX, -0.7, 0, (1.0, 1.35), 4.42, 2.12, (0.85, 0.1, 0.1)),
        part(BOX, 2.2, 0, (0.35, 1.3), 1.6, 2.0, body, BODYWORK),
        part(CABIN, 1.7, 0, (1.3, 2.1), 1.9, 1.95, WINDOW, GLASS),
        part(BOX, 1.0, 0, (2.5, 2.66), 0.3, 1.4, (0.08, 0.2, 0.95)),
        *wheels((-1.7, 2.0), 2.12, 0.75),
    )


def truck(rng: np.random.Generator, length: float = 0.0) -> tuple[Part, ...]:
    """A cab with a cargo box, 6.5 - 8.5 m long."""
    length = length or rng.uniform(6.5, 8.5)
    cab, cargo = paint(rng, (0.80, 0.30, 0.10)), paint(rng, (0.85, 0.62, 0.42))
    front = length / 2
    return (
        part(BOX, front - 0.9, 0, (0.5, 1.55), 1.8, 2.35, cab, BODYWORK),
        part(BOX, front - 0.95, 0, (1.55, 2.35), 1.7, 2.25, WINDOW, GLASS),
        part(BOX, front - 1.0, 0, (2.35, 2.6), 1.6, 2.3, cab),
        part(BOX, -1.0, 0, (0.55, 0.85), length - 2.0, 2.2, DARK),
        part(BOX, -1.0, 0, (0.85, rng.uniform(2.9, 3.4)), length - 2.2, 2.45, cargo, SLATS),
        *wheels((front - 1.1, -front + 2.3, -front + 1.1), 2.4, 0.95, 0.32),
    )


def trailer(rng: np.random.Generator) -> tuple[Part, ...]:
    """A two-axle trailer, as towed behind a truck."""
    length, colour = rng.uniform(5.0, 6.5), paint(rng, (0.36, 0.20, 0.10))
    return (
        part(BOX, 0, 0, (0.85, rng.uniform(2.6, 3.1)), length, 2.45, colour, SLATS),
        part(BOX, 0, 0, (0.6, 0.85), length, 2.1, DARK),
        part(BOX, length / 2 + 0.5, 0, (0.6, 0.75), 1.0, 0.2, DARK),
        *wheels((-0.32 * length, -0.1 * length), 2.4, 0.95, 0.32),
    )


def bus(rng: np.random.Generator) -> tuple[Part, ...]:
    """A city bus, 10.5 - 11.5 m long."""
    length, colour = rng.uniform(10.5, 11.5), paint(rng, (0.93, 0.78, 0.06), 0.12)
    return (
        part(BOX, 0, 0, (0.32, 3.05), length, 2.52, colour, COACH),
        part(BOX, -0.5, 0, (3.05, 3.25), length * 0.6, 1.7, WHITE),
        *wheels((0.32 * length, -0.26 * length), 2.54, 1.0, 0.3),
    )


def bendy_bus(rng: np.random.Generator) -> tuple[Part, ...]:
    """An articulated bus, 16 m long."""
    colour = paint(rng, (0.93, 0.78, 0.06), 0.12)
    return (
        part(BOX, 3.6, 0, (0.32, 3.05), 8.6, 2.52, colour, COACH),
        part(BOX, -4.8, 0, (0.32, 3.05), 6.6, 2.52, colour, COACH),
        part(BOX, -1.1, 0, (0.45, 2.95), 0.9, 2.3, DARK, SLATS),
        *wheels((6.0, 1.2, -5.4), 2.54, 1.0, 0.3),
    )


def excavator(rng: np.random.Generator) -> tuple[Part, ...]:
    """A construction vehicle: tracks, body, cab, boom and bucket."""
    colour = paint(rng, AMBER, 0.1)
    return (
        *(part(BOX, 0, side * 1.0, (0, 0.8), 3.6, 0.55, DARK, SLATS) for side in (-1, 1)),
        part(BOX, -0.4, 0, (0.8, 1.9), 2.9, 2.4, colour),
        part(BOX, 0.5, 0.65, (1.9, 2.95), 1.3, 1.05, WINDOW, GLASS),
        part(BOX, 0.5, 0.65, (2.95, 3.05), 1.35, 1.1, colour),
        part(BOX, -1.2, -0.2, (1.9, 2.3), 1.1, 1.7, colour),
        part(BOX, 1.7, -0.3, (1.9, 2.5), 2.0, 0.4, colour),
        part(BOX, 3.0, -0.3, (2.3, 2.9), 1.6, 0.36, colour),
        part(BOX, 3.9, -0.3, (1.0, 2.8), 0.4, 0.34, colour),
        part(BOX, 3.8, -0.3, (0.3, 1.0), 0.8, 1.1, DARK),
    )


def _rider(rng: np.random.Generator, seat: float, base: Colour, helmet: Colour) -> list[Part]:
    cloth = paint(rng, base)
    return [
        part(ELLIPSOID, -0.05, 0, (seat, seat + 0.72), 0.36, 0.46, cloth),
        part(ELLIPSOID, 0.05, 0, (seat + 0.68, seat + 0.96), 0.26, 0.24, helmet),
        *(part(BOX, 0.15, side * 0.16, (0.3, seat + 0.1), 0.2, 0.13, DARK) for side in (-1, 1)),
        *(part(BOX, 0.25, side * 0.22, (seat + 0.38, seat + 0.5), 0.5, 0.1, cloth) for side in (-1, 1)),
    ]


def motorcycle(rng: np.random.Generator, ridden: bool = True) -> tuple[Part, ...]:
    """A motorcycle, with a rider in traffic."""
    colour = paint(rng, (0.55, 0.45, 0.05))
    parts = [
        *(part(AXLE, x, 0, (0, 0.64), 0.64, 0.16, RUBBER, WHEEL) for x in (-0.72, 0.72)),
        part(BOX, 0, 0, (0.32, 0.62), 1.1, 0.3, METAL),
        part(ELLIPSOID, 0.15, 0, (0.55, 0.98), 0.75, 0.36, colour),
        part(BOX, -0.45, 0, (0.7, 0.86), 0.8, 0.28, DARK),
        part(BOX, 0.62, 0, (0.6, 1.1), 0.18, 0.5, colour),
    ]
    return tuple(parts + (_rider(rng, 0.84, (0.45, 0.38, 0.08), (0.9, 0.8, 0.2)) if ridden else []))


def bicycle(rng: np.random.Generator, ridden: bool = True) -> tuple[Part, ...]:
    """A bicycle, with a rider in traffic."""
    colour = paint(rng, (0.90, 0.55, 0.62))
    parts = [
        *(part(AXLE, x, 0, (0, 0.68), 0.68, 0.07, RUBBER, WHEEL) for x in (-0.52, 0.52)),
        part(BOX, 0, 0, (0.5, 0.62), 0.95, 0.08, colour),
        part(BOX, -0.2, 0, (0.3, 0.95), 0.09, 0.09, colour),
        part(BOX, 0.45, 0, (0.6, 1.05), 0.08, 0.5, colour),
    ]
    return tuple(parts + (_rider(rng, 0.95, (0.92, 0.60, 0.68), (0.95, 0.95, 0.95)) if ridden else []))


# ------------------------------------------------------------------------------------------------------ pedestrians


def pedestrian(
    rng: np.random.Generator, height: float = 0.0, coat: Colour | None = None, hat: Colour | None = None
) -> tuple[Part, ...]:
    """A standing or walking person."""
    h = height or rng.uniform(1.6, 1.9)
    coat, legs = coat or paint(rng, choice(rng, CLOTHES)), paint(rng, (0.20, 0.22, 0.32))
    parts = [
        *(part(CYLINDER, side * 0.09, side * 0.1, (0, 0.5 * h), 0.17, 0.16, legs) for side in (-1, 1)),
        part(CYLINDER, 0, 0, (0.46 * h, 0.84 * h), 0.28, 0.42, coat),
        *(part(CYLINDER, -side * 0.06, side * 0.27, (0.44 * h, 0.82 * h), 0.12, 0.12, coat) for side in (-1, 1)),
        part(ELLIPSOID, 0, 0, (0.85 * h, h), 0.23, 0.2, SKIN),
    ]
    if hat:
        parts.append(part(CYLINDER, 0, 0, (0.96 * h, 1.02 * h), 0.3, 0.28, hat))
    return tuple(parts)


def wheelchair(rng: np.random.Generator) -> tuple[Part, ...]:
    """A person in a wheelchair."""
    return (
        *(part(AXLE, -0.1, side * 0.3, (0, 0.6), 0.6, 0.06, RUBBER, WHEEL) for side in (-1, 1)),
        part(BOX, 0, 0, (0.42, 0.52), 0.5, 0.5, DARK),
        part(CYLINDER, -0.08, 0, (0.5, 1.08), 0.28, 0.42, paint(rng, (0.3, 0.4, 0.6))),
        part(BOX, 0.3, 0, (0.1, 0.6), 0.2, 0.36, DARK),
        part(ELLIPSOID, -0.05, 0, (1.08, 1.34), 0.23, 0.2, SKIN),
    )


def stroller(rng: np.random.Generator) -> tuple[Part, ...]:
    """A pram."""
    return (
        *(part(AXLE, x, side * 0.24, (0, 0.26), 0.26, 0.06, RUBBER, WHEEL) for x in (-0.3, 0.3) for side in (-1, 1)),
        part(BOX, 0, 0, (0.3, 0.7), 0.8, 0.45, paint(rng, (0.3, 0.3, 0.5))),
        part(ELLIPSOID, 0.15, 0, (0.55, 1.05), 0.5, 0.46, DARK),
    )


def scooter(rng: np.random.Generator) -> tuple[Part, ...]:
    """A person on a kick scooter (personal mobility)."""
    board = (part(BOX, 0, 0, (0.08, 0.16), 1.0, 0.18, DARK), part(CYLINDER, 0.42, 0, (0.1, 1.05), 0.07, 0.07, METAL))
    return (*board, *pedestrian(rng, coat=paint(rng, (0.35, 0.55, 0.5))))


def animal(rng: np.random.Generator) -> tuple[Part, ...]:
    """A large dog."""
    fur = paint(rng, (0.42, 0.28, 0.16))
    return (
        *(part(CYLINDER, x, y, (0, 0.4), 0.1, 0.1, fur) for x in (-0.3, 0.3) for y in (-0.1, 0.1)),
        part(ELLIPSOID, 0, 0, (0.32, 0.72), 0.95, 0.36, fur),
        part(ELLIPSOID, 0.5, 0, (0.55, 0.88), 0.36, 0.24, fur),
    )
