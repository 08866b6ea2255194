"""Where the objects of a scene are: traffic, people, street furniture, houses and plants."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from . import actors, scenery
from .catalog import MANMADE, STATIC_OTHER, VEGETATION, generator
from .layout import MARGIN_BEHIND, Layout, Track
from .parts import AMBER, HI_VIS, Part
from .road import Road


def make_layout(seed: int, scene: str, road: Road, duration: float) -> Layout:
    """All objects of a scene, a function of (seed, scene name, duration)."""
    rng = generator(seed, scene, "ego")
    section = road.section
    ego_inner = bool(rng.random() < 0.5)
    centre = section.median + 1.75 if ego_inner else section.inner + 1.85
    speed = rng.uniform(6.0, 10.0)
    ego = Track(
        MARGIN_BEHIND,
        -centre,
        speed=speed,
        sway=rng.uniform(0.5, 2.0) / 0.8,
        rate=0.8,
        phase=rng.uniform(0, 2 * math.pi),
    )
    layout = Layout(road, ego, duration)
    works_lane = section.inner + 1.85 if ego_inner else section.median + 1.75
    _roadworks(layout, generator(seed, scene, "roadworks"), -works_lane if rng.random() < 0.6 else section.inner + 1.85)
    _traffic(layout, generator(seed, scene, "traffic"))
    _parked(layout, generator(seed, scene, "parked"))
    _people(layout, generator(seed, scene, "people"))
    _furniture(layout, generator(seed, scene, "furniture"))
    _buildings(layout, generator(seed, scene, "buildings"))
    _greenery(layout, generator(seed, scene, "greenery"))
    return layout


def _roadworks(layout: Layout, rng: np.random.Generator, d: float) -> None:
    """A closed stretch of one lane: excavator, cones, barriers and workers."""
    starts = MARGIN_BEHIND + rng.uniform(-22, 35, 20)  # not on a crossing street, if there is room elsewhere
    start = min(starts, key=lambda s: layout.road.near_crossing(s + 10, 14.0))
    layout.place("vehicle.construction", actors.excavator(rng), Track(start + 9, d, yaw=rng.uniform(-0.15, 0.15)))
    for k in range(3):
        taper = Track(start + 2.0 * (k - 1), d + 0.9 * (k - 1), yaw=math.atan2(0.9, 2.0) - math.pi / 2)
        layout.place("movable_object.barrier", scenery.barrier(rng), taper, gap=-0.5)
    for side in (-1, 1):
        end = Track(start + 20, d + side * 1.0)
        layout.place("movable_object.barrier", scenery.barrier(rng), end, gap=0.0)
    for k in range(7):
        for side in (-1, 1):
            layout.place(
                "movable_object.trafficcone", scenery.cone(rng), Track(start + 3 + 2.4 * k, d + side * 1.55), gap=0.0
            )
    vest = {"coat": HI_VIS, "hat": AMBER}
    for _ in range(2):
        layout.place_near(
            "human.pedestrian.construction_worker",
            lambda: actors.pedestrian(rng, **vest),
            lambda: Track(start + rng.uniform(2, 18), d + rng.uniform(-1, 1), yaw=rng.uniform(-3, 3)),
            gap=0.1,
        )


def _lanes(layout: Layout) -> list[tuple[float, int]]:
    section = layout.road.section
    inner, outer = section.median + 1.75, section.inner + 1.85
    return [(-inner, 1), (-outer, 1), (inner, -1), (outer, -1)]


def _traffic(layout: Layout, rng: np.random.Generator) -> None:
    """Vehicles that share the speed of their lane, and cyclists at the right edge of the road."""
    here = MARGIN_BEHIND
    kinds: list[tuple[str, Callable[[], tuple[Part, ...]]]] = [
        ("vehicle.bus.rigid", lambda: actors.bus(rng)),
        ("vehicle.motorcycle", lambda: actors.motorcycle(rng)),
        ("vehicle.truck", lambda: actors.truck(rng)),
        ("vehicle.car", lambda: actors.car(rng)),
        ("vehicle.car", lambda: actors.car(rng)),
        ("vehicle.emergency.ambulance", lambda: actors.ambulance(rng)),
        ("vehicle.car", lambda: actors.car(rng)),
        ("vehicle.emergency.police", lambda: actors.police_car(rng)),
        ("vehicle.bus.bendy", lambda: actors.bendy_bus(rng)),
        ("vehicle.motorcycle", lambda: actors.motorcycle(rng)),
        *[("vehicle.car", lambda: actors.car(rng))] * 9,
    ]
    lanes = []
    for d, sign in _lanes(layout):
        own = d == layout.ego.d
        flow = (
            layout.ego
            if own
            else Track(
                0,
                d,
                speed=sign * rng.uniform(3, 9),
                sway=sign * rng.uniform(1, 3),
                rate=rng.uniform(0.5, 0.9),
                phase=rng.uniform(0, 6),
            )
        )
        lanes.append(replace(flow, d=d, yaw=0.0 if sign > 0 else math.pi))

    def in_lane(reach: float) -> Track:
        lane = lanes[int(rng.integers(4))]
        return replace(lane, s=here + rng.uniform(-reach, reach * 1.3), d=lane.d + rng.uniform(-0.15, 0.15))

    _road_train(layout, rng, in_lane)
    for k, (name, make) in enumerate(kinds):
        layout.place_near(name, make, lambda k=k: in_lane(26 if k < 4 else 65), gap=1.2, traffic=True)  # type: ignore[misc]
    for k in range(4):
        side = -1 if k % 2 == 0 else 1
        edge = layout.road.section.outer - 0.45

        def beside(side: int = side, edge: float = edge) -> Track:
            return Track(
                here + rng.uniform(-22, 35), side * edge, 0.0 if side < 0 else math.pi, -side * rng.uniform(3, 6)
            )

        layout.place_near("vehicle.bicycle", lambda: actors.bicycle(rng), beside, gap=0.15, traffic=True)


def _road_train(layout: Layout, rng: np.random.Generator, in_lane: Callable[[float], Track]) -> None:
    """A truck that tows a trailer: the same track, shifted along the road."""
    for _ in range(80):
        length = float(rng.uniform(6.5, 7.5))
        front = in_lane(24)
        direction = 1 if abs(front.yaw) < 1 else -1
        towed, pulling = actors.trailer(rng), actors.truck(rng, length)
        back = length / 2 + 1.0 - min(p.centre[0] - p.size[0] / 2 for p in towed)
        if layout.place("vehicle.truck", pulling, front, gap=1.2, traffic=True):
            if layout.place(
                "vehicle.trailer", towed, replace(front, s=front.s - direction * back), gap=-0.9, traffic=True
            ):
                return
            layout.remove_last()


def _parked(layout: Layout, rng: np.random.Generator) -> None:
    """Parked vehicles in the parking lanes, or in the crossing streets where there are none."""
    section, road = layout.road.section, layout.road
    s_slots = np.arange(8.0, road.length - 8, 6.6)
    for side in (-1, 1):
        for s in s_slots:
            track = Track(float(s + rng.uniform(-0.4, 0.4)), side * (section.outer + 1.2), 0.0 if side < 0 else math.pi)
            kind = rng.random()
            if not section.has_parking or road.near_crossing(track.s, 7.0) or rng.random() > 0.6:
                continue
            if kind < 0.86:
                layout.place("vehicle.car", actors.car(rng), track, gap=0.1)
            elif kind < 0.93:
                layout.place("vehicle.truck", actors.truck(rng, 6.3), track, gap=0.1)
            else:
                layout.place("vehicle.trailer", actors.trailer(rng), track, gap=0.1)
    for middle, half in road.crossings:
        for k in range(4):
            side, lane = (1 if k % 2 else -1), (1 if k < 2 else -1)
            d = side * (section.sidewalk + 8 + rng.uniform(0, 14))
            layout.place(
                "vehicle.car", actors.car(rng), Track(middle + lane * (half - 1.2), d, math.pi / 2 * lane), gap=0.2
            )
    walk = (section.kerb + section.sidewalk) / 2
    for k in range(3):
        for name, make in (("vehicle.bicycle", actors.bicycle), ("vehicle.motorcycle", actors.motorcycle)):
            layout.place_near(
                name,
                lambda make=make: make(rng, False),  # type: ignore[misc]
                lambda k=k: Track(
                    MARGIN_BEHIND + rng.uniform(-15, 45), (1 if k % 2 else -1) * (walk + 0.8), rng.uniform(1.2, 1.8)
                ),  # type: ignore[misc]
            )


def _people(layout: Layout, rng: np.random.Generator) -> None:
    """Pedestrians on the sidewalks and on the zebra crossings."""
    section, here = layout.road.section, MARGIN_BEHIND

    def strolling(speed: float) -> Track:
        side = 1 if rng.random() < 0.5 else -1
        way = 1 if rng.random() < 0.5 else -1
        d = side * rng.uniform(section.kerb + 0.6, section.sidewalk - 0.5)
        return Track(here + rng.uniform(-24, 45), d, 0.0 if way > 0 else math.pi, speed=way * speed)

    def crossing() -> Track:
        middle, half = layout.road.crossings[int(rng.integers(len(layout.road.crossings)))]
        way = 1 if rng.random() < 0.5 else -1
        s = middle + (1 if rng.random() < 0.5 else -1) * (half + rng.uniform(1.4, 3.4))
        return Track(s, way * -rng.uniform(1.0, section.kerb), way * math.pi / 2, drift=way * rng.uniform(0.9, 1.6))

    for _ in range(3):
        layout.place_near("human.pedestrian.adult", lambda: actors.pedestrian(rng), crossing, gap=0.4, traffic=True)
    for k in range(14):
        child = k % 7 == 3
        height = rng.uniform(1.05, 1.35) if child else 0.0
        layout.place_near(
            "human.pedestrian.child" if child else "human.pedestrian.adult",
            lambda h=height: actors.pedestrian(rng, h),  # type: ignore[misc]
            lambda: strolling(rng.uniform(0.7, 1.8)),
            traffic=True,
        )
    for name, make, speed in (
        (
            "human.pedestrian.police_officer",
            lambda: actors.pedestrian(rng, coat=(0.06, 0.10, 0.30), hat=(0.06, 0.10, 0.30)),
            0.0,
        ),
        ("human.pedestrian.wheelchair", lambda: actors.wheelchair(rng), 0.7),
        ("human.pedestrian.stroller", lambda: actors.stroller(rng), 1.0),
        ("human.pedestrian.personal_mobility", lambda: actors.scooter(rng), 2.5),
        ("animal", lambda: actors.animal(rng), 1.2),
    ):
        layout.place_near(name, make, lambda v=speed: strolling(v), traffic=True)  # type: ignore[misc]


def _furniture(layout: Layout, rng: np.random.Generator) -> None:
    """Street lights, signals, signs, racks, bins and benches."""
    section, road = layout.road.section, layout.road
    post = section.kerb + 0.3
    for side in (-1, 1):
        facing = math.pi / 2 if side < 0 else -math.pi / 2
        for s in np.arange(12.0 + 8 * (side > 0), road.length, 26.0):
            if not road.near_crossing(s, 1.0):
                layout.place(MANMADE, scenery.street_light(rng), Track(float(s), side * (post + 0.1), facing), gap=-1.6)
        for s in np.arange(20.0, road.length, 33.0):
            if not road.near_crossing(s, 2.0):
                layout.place(
                    MANMADE,
                    scenery.sign(rng),
                    Track(float(s + rng.uniform(-4, 4)), side * post, math.pi if side < 0 else 0.0),
                    gap=0.05,
                )
    for middle, half in road.crossings:
        for side in (-1, 1):
            layout.place(
                MANMADE, scenery.traffic_light(rng), Track(middle - side * (half + 1.2), side * post, 0.0), gap=-0.1
            )
    for k in range(8):
        name, make = (
            ("static_object.bicycle_rack", scenery.bicycle_rack),
            ("movable_object.pushable_pullable", scenery.container),
            ("movable_object.debris", scenery.debris),
            (STATIC_OTHER, scenery.bench),
        )[k % 4]
        layout.place_near(
            name,
            lambda make=make: make(rng),  # type: ignore[misc,arg-type]
            lambda k=k: Track(
                MARGIN_BEHIND + rng.uniform(-20, 50),
                (1 if k < 4 else -1) * (section.sidewalk - rng.uniform(0.6, 1.0)),
                0.0,
            ),  # type: ignore[misc]
        )


def _buildings(layout: Layout, rng: np.random.Generator) -> None:
    """Rows of houses along both sides of the road, with walls in some of the gaps, and a second row behind."""
    section, road = layout.road.section, layout.road
    for side in (-1, 1):
        for row, front in enumerate((section.sidewalk, section.sidewalk + 24)):
            s = rng.uniform(2, 10)
            while s < road.length - 12:
                length, depth = rng.uniform(9, 22), rng.uniform(7, 12)
                height = rng.uniform(3.6, 9.0) if row == 0 else rng.uniform(6, 15)
                setback = rng.uniform(0.8, 6.0) + (rng.uniform(0, 12) if row else 0)
                middle, d = s + length / 2, side * (front + setback + depth / 2)
                clear = not road.near_crossing(middle, length / 2 + 6.5)
                stretch = 1 + max(0.0, 0.011 * (front + setback + depth))
                if clear and rng.random() < (0.75 if row == 0 else 0.6):
                    layout.place(
                        MANMADE,
                        scenery.building(rng, length, depth, height),
                        Track(float(middle), d, rng.normal(0, 0.02)),
                        gap=0.0,
                    )
                elif clear and row == 0:
                    layout.place(
                        MANMADE, scenery.wall(rng, length - 2), Track(float(middle), side * (front + 0.6), 0.0), gap=0.0
                    )
                s += length * stretch + rng.uniform(1.5, 9)


def _greenery(layout: Layout, rng: np.random.Generator) -> None:
    """Street trees, hedges, bushes, and woods behind the houses."""
    section, road = layout.road.section, layout.road
    for side in (-1, 1):
        for s in np.arange(6.0, road.length, 9.5):
            at = float(s + rng.uniform(-2, 2))
            if rng.random() < 0.55 and not road.near_crossing(at, 7.0):
                layout.place(
                    VEGETATION,
                    scenery.tree(rng, 0.85),
                    Track(at, side * (section.kerb + 0.5), rng.uniform(0, 3)),
                    gap=-1.3,
                )
        for s in np.arange(4.0, road.length, 7.0):
            length = rng.uniform(3.0, 6.0)
            if rng.random() < 0.4 and not road.near_crossing(s, 8.0):
                layout.place(
                    VEGETATION,
                    scenery.hedge(rng, length),
                    Track(float(s), side * (section.sidewalk + 0.7), 0.0),
                    gap=0.05,
                )
    for _ in range(int(road.length * 0.55)):
        s, d = (
            rng.uniform(0, road.length),
            (1 if rng.random() < 0.5 else -1) * (section.sidewalk + 1.5 + 50 * rng.random() ** 1.5),
        )
        if road.near_crossing(s, 7.5):
            continue
        kind = rng.random()
        size = rng.uniform(0.9, 1.5)
        parts = (
            scenery.bush(rng) if kind < 0.3 else (scenery.conifer(rng, size) if kind < 0.5 else scenery.tree(rng, size))
        )
        layout.place(VEGETATION, parts, Track(float(s), float(d), rng.uniform(0, 3)), gap=-0.6 * (kind >= 0.5))
