"""What the objects of the world are built of.

A blueprint is a tuple of :class:`Part` in the object frame (x forward, y left, z up, origin on the ground under the
middle of the object), metres. Annotated objects keep 2 cm clear of the ground, so that no lidar return from the road
lies on the border of their box.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .solids import AXLE, BOX, CYLINDER, ELLIPSOID

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
    (0.12, 0.28, 0.62), (0.12, 0.28, 0.62), (0.62, 0.10, 0.10), (0.86, 0.87, 0.88), (0.16, 0.17, 0.20), (0.58, 0.60, 0.63),
    (0.10, 0.38, 0.58), (0.14, 0.20, 0.46),
)  # fmt: skip
CLOTHES: tuple[Colour, ...] = (
    (0.75, 0.12, 0.22), (0.80, 0.20, 0.45), (0.55, 0.15, 0.55), (0.85, 0.75, 0.70), (0.22, 0.20, 0.42), (0.70, 0.25, 0.15),
)  # fmt: skip
FACADES: tuple[Colour, ...] = (
    (0.78, 0.68, 0.54), (0.70, 0.52, 0.42), (0.66, 0.62, 0.58), (0.80, 0.76, 0.68), (0.60, 0.42, 0.36), (0.72, 0.66, 0.60),
)  # fmt: skip


@dataclass(frozen=True)
class Part:
    """One solid of an object: shape, centre and size (x, y, z) in the object frame, sRGB colour, material."""

    shape: int
    centre: tuple[float, float, float]
    size: tuple[float, float, float]
    colour: Colour
    material: int = PLAIN


def _part(
    shape: int, x: float, y: float, z: tuple[float, float], l: float, w: float, colour: Colour, material: int = PLAIN
) -> Part:  # noqa: E741
    low = max(z[0], CLEARANCE)
    return Part(shape, (x, y, (low + z[1]) / 2), (l, w, z[1] - low), colour, material)


def _wheels(xs: tuple[float, ...], track: float, diameter: float, width: float = 0.24) -> list[Part]:
    return [
        _part(AXLE, x, side * (track - width) / 2, (0, diameter), diameter, width, RUBBER, WHEEL)
        for x in xs
        for side in (-1, 1)
    ]


def paint(rng: np.random.Generator, base: Colour, spread: float = 0.25) -> Colour:
    """A base colour with a random brightness and a slight random tint."""
    gain = 1 + spread * rng.uniform(-1, 1)
    return tuple(float(np.clip(c * gain * (1 + 0.06 * rng.uniform(-1, 1)), 0.02, 0.97)) for c in base)  # type: ignore[return-value]


def _choice(rng: np.random.Generator, options: tuple[Colour, ...]) -> Colour:
    return options[int(rng.integers(len(options)))]


# ------------------------------------------------------------------------------------------------------- vehicles


def _cabin(x: float, length: float, width: float, low: float, high: float, colour: Colour) -> list[Part]:
    return [
        _part(BOX, x, 0, (low, high - 0.08), length, width, WINDOW, GLASS),
        _part(BOX, x - 0.05, 0, (high - 0.08, high), length * 0.86, width * 0.96, colour, BODYWORK),
        _part(BOX, x - 0.28 * length, 0, (low, high - 0.08), length * 0.12, width + 0.02, colour, BODYWORK),
    ]


def car(rng: np.random.Generator, colour: Colour | None = None) -> tuple[Part, ...]:
    """A saloon or a hatchback, 4.0 - 4.9 m long."""
    length, width, height = rng.uniform(4.0, 4.9), rng.uniform(1.75, 1.95), rng.uniform(1.42, 1.72)
    colour = colour or paint(rng, _choice(rng, CAR_PAINTS))
    belt = 0.58 * height
    estate = rng.random() < 0.4
    parts = [
        _part(BOX, 0, 0, (0.22, belt), length, width, colour, BODYWORK),
        *_cabin(
            -0.14 * length if estate else -0.06 * length,
            length * (0.62 if estate else 0.5),
            width * 0.88,
            belt,
            height,
            colour,
        ),
        *_wheels((-0.3 * length, 0.31 * length), width + 0.04, 0.66),
    ]
    return tuple(parts)


def police_car(rng: np.random.Generator) -> tuple[Part, ...]:
    """A white car with a blue light bar."""
    parts = car(rng, (0.90, 0.91, 0.93))
    top = max(p.centre[2] + p.size[2] / 2 for p in parts)
    return (*parts, _part(BOX, -0.3, 0, (top, top + 0.14), 0.3, 1.2, (0.08, 0.2, 0.95)))


def ambulance(rng: np.random.Generator) -> tuple[Part, ...]:
    """A white van with a red band."""
    body = (0.93, 0.93, 0.91)
    return (
        _part(BOX, -0.7, 0, (0.35, 2.5), 4.4, 2.1, body), _part(BOX, -0.7, 0, (1.0, 1.35), 4.42, 2.12, (0.85, 0.1, 0.1)),
        _part(BOX, 2.2, 0, (0.35, 1.3), 1.6, 2.0, body, BODYWORK), _part(BOX, 1.8, 0, (1.3, 2.1), 0.8, 1.9, WINDOW, GLASS),
        _part(BOX, 1.0, 0, (2.5, 2.66), 0.3, 1.4, (0.08, 0.2, 0.95)), *_wheels((-1.7, 2.0), 2.12, 0.75),
    )  # fmt: skip


def truck(rng: np.random.Generator, length: float = 0.0) -> tuple[Part, ...]:
    """A cab with a cargo box, 6.5 - 8.5 m long."""
    length = length or rng.uniform(6.5, 8.5)
    cab, cargo = paint(rng, (0.80, 0.30, 0.10)), paint(rng, (0.85, 0.62, 0.42))
    front = length / 2
    return (
        _part(BOX, front - 0.9, 0, (0.5, 1.55), 1.8, 2.35, cab, BODYWORK),
        _part(BOX, front - 0.95, 0, (1.55, 2.35), 1.7, 2.25, WINDOW, GLASS),
        _part(BOX, front - 1.0, 0, (2.35, 2.6), 1.6, 2.3, cab),
        _part(BOX, -1.0, 0, (0.55, 0.85), length - 2.0, 2.2, DARK),
        _part(BOX, -1.0, 0, (0.85, rng.uniform(2.9, 3.4)), length - 2.2, 2.45, cargo, SLATS),
        *_wheels((front - 1.1, -front + 2.3, -front + 1.1), 2.4, 0.95, 0.32),
    )


def trailer(rng: np.random.Generator) -> tuple[Part, ...]:
    """A two-axle trailer, as towed behind a truck."""
    length, colour = rng.uniform(5.0, 6.5), paint(rng, (0.36, 0.20, 0.10))
    return (
        _part(BOX, 0, 0, (0.85, rng.uniform(2.6, 3.1)), length, 2.45, colour, SLATS), _part(BOX, 0, 0, (0.6, 0.85), length, 2.1, DARK),
        _part(BOX, length / 2 + 0.5, 0, (0.6, 0.75), 1.0, 0.2, DARK), *_wheels((-0.32 * length, -0.1 * length), 2.4, 0.95, 0.32),
    )  # fmt: skip


def bus(rng: np.random.Generator) -> tuple[Part, ...]:
    """A city bus, 10.5 - 11.5 m long."""
    length, colour = rng.uniform(10.5, 11.5), paint(rng, (0.93, 0.78, 0.06), 0.12)
    return (
        _part(BOX, 0, 0, (0.32, 3.05), length, 2.52, colour, COACH), _part(BOX, -0.5, 0, (3.05, 3.25), length * 0.6, 1.7, WHITE),
        *_wheels((0.32 * length, -0.26 * length), 2.54, 1.0, 0.3),
    )  # fmt: skip


def bendy_bus(rng: np.random.Generator) -> tuple[Part, ...]:
    """An articulated bus, 16 m long."""
    colour = paint(rng, (0.93, 0.78, 0.06), 0.12)
    return (
        _part(BOX, 3.6, 0, (0.32, 3.05), 8.6, 2.52, colour, COACH), _part(BOX, -4.8, 0, (0.32, 3.05), 6.6, 2.52, colour, COACH),
        _part(BOX, -1.1, 0, (0.45, 2.95), 0.9, 2.3, DARK, SLATS), *_wheels((6.0, 1.2, -5.4), 2.54, 1.0, 0.3),
    )  # fmt: skip


def excavator(rng: np.random.Generator) -> tuple[Part, ...]:
    """A construction vehicle: tracks, body, cab, boom and bucket."""
    colour = paint(rng, AMBER, 0.1)
    return (
        *(_part(BOX, 0, side * 1.0, (0, 0.8), 3.6, 0.55, DARK, SLATS) for side in (-1, 1)),
        _part(BOX, -0.4, 0, (0.8, 1.9), 2.9, 2.4, colour), _part(BOX, 0.5, 0.65, (1.9, 2.95), 1.3, 1.05, WINDOW, GLASS),
        _part(BOX, 0.5, 0.65, (2.95, 3.05), 1.35, 1.1, colour), _part(BOX, -1.2, -0.2, (1.9, 2.3), 1.1, 1.7, colour),
        _part(BOX, 1.7, -0.3, (1.9, 2.5), 2.0, 0.4, colour), _part(BOX, 3.0, -0.3, (2.3, 2.9), 1.6, 0.36, colour),
        _part(BOX, 3.9, -0.3, (1.0, 2.8), 0.4, 0.34, colour), _part(BOX, 3.8, -0.3, (0.3, 1.0), 0.8, 1.1, DARK),
    )  # fmt: skip


def _rider(rng: np.random.Generator, seat: float, base: Colour, helmet: Colour) -> list[Part]:
    cloth = paint(rng, base)
    return [
        _part(ELLIPSOID, -0.05, 0, (seat, seat + 0.72), 0.36, 0.46, cloth), _part(ELLIPSOID, 0.05, 0, (seat + 0.68, seat + 0.96), 0.26, 0.24, helmet),
        *(_part(BOX, 0.15, side * 0.16, (0.3, seat + 0.1), 0.2, 0.13, DARK) for side in (-1, 1)),
        *(_part(BOX, 0.25, side * 0.22, (seat + 0.38, seat + 0.5), 0.5, 0.1, cloth) for side in (-1, 1)),
    ]  # fmt: skip


def motorcycle(rng: np.random.Generator, ridden: bool = True) -> tuple[Part, ...]:
    """A motorcycle, with a rider in traffic."""
    colour = paint(rng, (0.55, 0.45, 0.05))
    parts = [
        *(_part(AXLE, x, 0, (0, 0.64), 0.64, 0.16, RUBBER, WHEEL) for x in (-0.72, 0.72)),
        _part(BOX, 0, 0, (0.32, 0.62), 1.1, 0.3, METAL), _part(ELLIPSOID, 0.15, 0, (0.55, 0.98), 0.75, 0.36, colour),
        _part(BOX, -0.45, 0, (0.7, 0.86), 0.8, 0.28, DARK), _part(BOX, 0.62, 0, (0.6, 1.1), 0.18, 0.5, colour),
    ]  # fmt: skip
    return tuple(parts + (_rider(rng, 0.84, (0.45, 0.38, 0.08), (0.9, 0.8, 0.2)) if ridden else []))


def bicycle(rng: np.random.Generator, ridden: bool = True) -> tuple[Part, ...]:
    """A bicycle, with a rider in traffic."""
    colour = paint(rng, (0.90, 0.55, 0.62))
    parts = [
        *(_part(AXLE, x, 0, (0, 0.68), 0.68, 0.07, RUBBER, WHEEL) for x in (-0.52, 0.52)),
        _part(BOX, 0, 0, (0.5, 0.62), 0.95, 0.08, colour), _part(BOX, -0.2, 0, (0.3, 0.95), 0.09, 0.09, colour),
        _part(BOX, 0.45, 0, (0.6, 1.05), 0.08, 0.5, colour),
    ]  # fmt: skip
    return tuple(parts + (_rider(rng, 0.95, (0.92, 0.60, 0.68), (0.95, 0.95, 0.95)) if ridden else []))


# ------------------------------------------------------------------------------------------------------ pedestrians


def pedestrian(
    rng: np.random.Generator, height: float = 0.0, coat: Colour | None = None, hat: Colour | None = None
) -> tuple[Part, ...]:
    """A standing or walking person."""
    h = height or rng.uniform(1.6, 1.9)
    coat, legs = coat or paint(rng, _choice(rng, CLOTHES)), paint(rng, (0.20, 0.22, 0.32))
    parts = [
        *(_part(CYLINDER, side * 0.09, side * 0.1, (0, 0.5 * h), 0.17, 0.16, legs) for side in (-1, 1)),
        _part(CYLINDER, 0, 0, (0.46 * h, 0.84 * h), 0.28, 0.42, coat),
        *(_part(CYLINDER, -side * 0.06, side * 0.27, (0.44 * h, 0.82 * h), 0.12, 0.12, coat) for side in (-1, 1)),
        _part(ELLIPSOID, 0, 0, (0.85 * h, h), 0.23, 0.2, SKIN),
    ]  # fmt: skip
    if hat:
        parts.append(_part(CYLINDER, 0, 0, (0.96 * h, 1.02 * h), 0.3, 0.28, hat))
    return tuple(parts)


def wheelchair(rng: np.random.Generator) -> tuple[Part, ...]:
    """A person in a wheelchair."""
    return (
        *(_part(AXLE, -0.1, side * 0.3, (0, 0.6), 0.6, 0.06, RUBBER, WHEEL) for side in (-1, 1)), _part(BOX, 0, 0, (0.42, 0.52), 0.5, 0.5, DARK),
        _part(CYLINDER, -0.08, 0, (0.5, 1.08), 0.28, 0.42, paint(rng, (0.3, 0.4, 0.6))), _part(BOX, 0.3, 0, (0.1, 0.6), 0.2, 0.36, DARK),
        _part(ELLIPSOID, -0.05, 0, (1.08, 1.34), 0.23, 0.2, SKIN),
    )  # fmt: skip


def stroller(rng: np.random.Generator) -> tuple[Part, ...]:
    """A pram."""
    return (
        *(_part(AXLE, x, side * 0.24, (0, 0.26), 0.26, 0.06, RUBBER, WHEEL) for x in (-0.3, 0.3) for side in (-1, 1)),
        _part(BOX, 0, 0, (0.3, 0.7), 0.8, 0.45, paint(rng, (0.3, 0.3, 0.5))), _part(ELLIPSOID, 0.15, 0, (0.55, 1.05), 0.5, 0.46, DARK),
    )  # fmt: skip


def scooter(rng: np.random.Generator) -> tuple[Part, ...]:
    """A person on a kick scooter (personal mobility)."""
    board = (_part(BOX, 0, 0, (0.08, 0.16), 1.0, 0.18, DARK), _part(CYLINDER, 0.42, 0, (0.1, 1.05), 0.07, 0.07, METAL))
    return (*board, *pedestrian(rng, coat=paint(rng, (0.35, 0.55, 0.5))))


def animal(rng: np.random.Generator) -> tuple[Part, ...]:
    """A large dog."""
    fur = paint(rng, (0.42, 0.28, 0.16))
    return (
        *(_part(CYLINDER, x, y, (0, 0.4), 0.1, 0.1, fur) for x in (-0.3, 0.3) for y in (-0.1, 0.1)),
        _part(ELLIPSOID, 0, 0, (0.32, 0.72), 0.95, 0.36, fur), _part(ELLIPSOID, 0.5, 0, (0.55, 0.88), 0.36, 0.24, fur),
    )  # fmt: skip


# ------------------------------------------------------------------------------------------------- movable and static


def barrier(rng: np.random.Generator) -> tuple[Part, ...]:
    """A striped road barrier, 1.9 m across; x is its thin side, as in nuScenes."""
    return (_part(BOX, 0, 0, (0, 0.22), 0.55, 1.9, METAL), _part(BOX, 0, 0, (0.22, 1.0), 0.3, 1.9, HI_VIS, STRIPES))


def cone(rng: np.random.Generator) -> tuple[Part, ...]:
    """A traffic cone, 0.8 m high."""
    return (
        _part(BOX, 0, 0, (0, 0.07), 0.42, 0.42, HI_VIS), _part(CYLINDER, 0, 0, (0.07, 0.32), 0.30, 0.30, HI_VIS),
        _part(CYLINDER, 0, 0, (0.32, 0.55), 0.21, 0.21, WHITE), _part(CYLINDER, 0, 0, (0.55, 0.8), 0.13, 0.13, HI_VIS),
    )  # fmt: skip


def container(rng: np.random.Generator) -> tuple[Part, ...]:
    """A wheeled rubbish bin (pushable, pullable)."""
    colour = paint(rng, (0.42, 0.22, 0.55))
    return (
        _part(BOX, 0, 0, (0.08, 1.05), 0.8, 1.2, colour, SLATS),
        _part(BOX, 0, 0, (1.05, 1.15), 0.9, 1.3, paint(rng, (0.36, 0.18, 0.48))),
    )


def debris(rng: np.random.Generator) -> tuple[Part, ...]:
    """A heap of boxes."""
    box = (0.50, 0.26, 0.58)
    return (
        _part(BOX, 0, 0, (0, 0.5), 0.7, 0.8, paint(rng, box)),
        _part(BOX, 0.2, 0.5, (0, 0.3), 0.5, 0.5, paint(rng, box)),
        _part(BOX, -0.1, 0, (0.5, 0.8), 0.4, 0.5, paint(rng, box)),
    )


def bicycle_rack(rng: np.random.Generator) -> tuple[Part, ...]:
    """A rail with hoops and a low roof."""
    colour = paint(rng, (0.46, 0.24, 0.62))
    hoops = [_part(BOX, x, 0, (0, 0.8), 0.06, 0.7, colour) for x in np.linspace(-1.35, 1.35, 7)]
    return (*hoops, _part(BOX, 0, 0, (0.76, 0.84), 2.9, 0.1, colour), _part(BOX, 0, 0, (0.02, 0.08), 2.9, 0.8, METAL))


def bench(rng: np.random.Generator) -> tuple[Part, ...]:
    """A street bench with a planter box."""
    colour = paint(rng, (0.48, 0.25, 0.60))
    return (
        _part(BOX, 0, 0, (0.05, 0.45), 1.8, 0.5, colour, SLATS),
        _part(BOX, 0, -0.25, (0.45, 0.9), 1.8, 0.12, colour, SLATS),
    )


def building(rng: np.random.Generator, length: float, depth: float, height: float) -> tuple[Part, ...]:
    """A house with windows, a plinth and a roof."""
    colour = paint(rng, _choice(rng, FACADES), 0.15)
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
        Part(CYLINDER, (0, 0, 3.5), (0.22, 0.22, 7.0), METAL), Part(CYLINDER, (0, 0, 0.4), (0.34, 0.34, 0.8), DARK),
        Part(BOX, (1.0, 0, 6.95), (2.2, 0.12, 0.12), METAL), Part(BOX, (2.0, 0, 6.86), (0.7, 0.25, 0.1), WHITE),
    )  # fmt: skip


def traffic_light(rng: np.random.Generator) -> tuple[Part, ...]:
    """A signal on a pole."""
    lamp = ((0.9, 0.1, 0.08), (0.1, 0.8, 0.3))[int(rng.integers(2))]
    return (
        Part(CYLINDER, (0, 0, 1.6), (0.2, 0.2, 3.2), DARK), Part(BOX, (0, 0, 3.3), (0.3, 0.36, 1.0), DARK),
        *(Part(BOX, (side * 0.16, 0, 3.55), (0.04, 0.24, 0.24), lamp) for side in (-1, 1)),
    )  # fmt: skip


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
