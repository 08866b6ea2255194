"""Names and numbers of the classes that a world is made of (spec/data/formats.md section 3)."""

from __future__ import annotations

import hashlib

import numpy as np

LIDARSEG_NAMES = (
    "noise", "animal", "human.pedestrian.adult", "human.pedestrian.child", "human.pedestrian.construction_worker",
    "human.pedestrian.personal_mobility", "human.pedestrian.police_officer", "human.pedestrian.stroller",
    "human.pedestrian.wheelchair", "movable_object.barrier", "movable_object.debris",
    "movable_object.pushable_pullable", "movable_object.trafficcone", "static_object.bicycle_rack", "vehicle.bicycle",
    "vehicle.bus.bendy", "vehicle.bus.rigid", "vehicle.car", "vehicle.construction", "vehicle.emergency.ambulance",
    "vehicle.emergency.police", "vehicle.motorcycle", "vehicle.trailer", "vehicle.truck", "flat.driveable_surface",
    "flat.other", "flat.sidewalk", "flat.terrain", "static.manmade", "static.other", "static.vegetation",
    "vehicle.ego",
)  # fmt: skip
"""The 32 lidarseg classes in the order of their released `index`."""

LIDARSEG_ID = {name: index for index, name in enumerate(LIDARSEG_NAMES)}
ANNOTATED = frozenset(range(1, 24))
"""Lidarseg ids that carry annotation boxes: the 23 detection categories."""

DRIVEABLE, OTHER_FLAT, SIDEWALK, TERRAIN, MANMADE, STATIC_OTHER, VEGETATION = range(24, 31)
NO_CLASS = 255
"""Class id of sky in a rendering."""

OCC3D_FROM_LIDARSEG = np.zeros(32, np.uint8)
for _occ3d, _lidarseg in (
    (1, (9,)), (2, (14,)), (3, (15, 16)), (4, (17,)), (5, (18,)), (6, (21,)), (7, (2, 3, 4, 6)), (8, (12,)), (9, (22,)),
    (10, (23,)), (11, (24,)), (12, (25,)), (13, (26,)), (14, (27,)), (15, (28,)), (16, (30,)),
):  # fmt: skip
    OCC3D_FROM_LIDARSEG[list(_lidarseg)] = _occ3d
OCC3D_FREE = 17

_OCC3D_OF_OPENOCC = (4, 10, 9, 3, 5, 2, 6, 7, 8, 1, 11, 12, 13, 14, 15, 16, 17)
OPENOCC_FREE = 16
OPENOCC_FLOW_CLASSES = 8
OPENOCC_FROM_OCC3D = np.full(18, OPENOCC_FREE, np.int32)  # OpenOcc has no class for "others": such voxels stay free
OPENOCC_FROM_OCC3D[list(_OCC3D_OF_OPENOCC)] = np.arange(17)

ATTRIBUTES = (
    ("vehicle.moving", "Vehicle is moving."),
    ("vehicle.stopped", "Vehicle, with a driver in or on it, is currently stationary but has an intent to move."),
    ("vehicle.parked", "Vehicle is stationary (usually for longer duration) with no immediate intent to move."),
    ("cycle.with_rider", "There is a rider on the bicycle or motorcycle."),
    ("cycle.without_rider", "There is no rider on the bicycle or motorcycle."),
    ("pedestrian.sitting_lying_down", "The human is sitting or lying down."),
    ("pedestrian.standing", "The human is standing."),
    ("pedestrian.moving", "The human is moving."),
)
VISIBILITIES = (
    ("1", "v0-40", 0.0, 0.4),
    ("2", "v40-60", 0.4, 0.6),
    ("3", "v60-80", 0.6, 0.8),
    ("4", "v80-100", 0.8, 1.0),
)
"""(token, level, least share, largest share) of the object's pixels that are visible in the six images."""


def attribute_of(category: int, speed: float, ridden: bool) -> str | None:
    """Attribute name of an annotation, None where its category has none.

    Args:
        category: lidarseg id.
        speed: m/s.
        ridden: the object takes part in traffic (a driver or a rider is present).
    """
    if category in (LIDARSEG_ID["vehicle.bicycle"], LIDARSEG_ID["vehicle.motorcycle"]):
        return "cycle.with_rider" if ridden else "cycle.without_rider"
    name = LIDARSEG_NAMES[category]
    if name.startswith("vehicle."):
        return "vehicle.moving" if speed > 0.2 else ("vehicle.stopped" if ridden else "vehicle.parked")
    if name.startswith("human.pedestrian.") and not name.endswith(("stroller", "wheelchair", "personal_mobility")):
        return "pedestrian.moving" if speed > 0.2 else "pedestrian.standing"
    return None


def _digest(parts: tuple[object, ...]) -> bytes:
    return hashlib.blake2b("/".join(map(str, parts)).encode(), digest_size=16).digest()


def generator(*key: object) -> np.random.Generator:
    """Counter-based random numbers that depend on the key alone, for example (seed, scene name, entity)."""
    return np.random.Generator(np.random.Philox(key=int.from_bytes(_digest(key), "little")))


def token(*key: object) -> str:
    """A nuScenes token (32 hexadecimal digits) that depends on the key alone."""
    return _digest(key).hex()
