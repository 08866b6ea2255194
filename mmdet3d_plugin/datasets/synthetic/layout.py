"""Where the objects of a scene are and how they move, in road coordinates, free of collisions."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from . import blueprints as bp
from .catalog import ANNOTATED, LIDARSEG_ID, MANMADE, STATIC_OTHER, VEGETATION, generator
from .road import Road

MARGIN_BEHIND = 85.0
"""Metres of road behind the first position of the ego vehicle."""
EGO_SIZE = (5.0, 2.2)


@dataclass(frozen=True)
class Track:
    """Motion along the road: s(t) = s + speed t + sway (sin(rate t + phase) - sin(phase)), d(t) = d + drift t.

    Attributes:
        s, d: road coordinates at time 0, metres.
        yaw: heading relative to the centre line, radians.
        speed, drift: m/s along and across the road.
        sway, rate, phase: smooth changes of speed; sway * rate <= |speed| keeps a vehicle from driving backwards.
    """

    s: float
    d: float
    yaw: float = 0.0
    speed: float = 0.0
    drift: float = 0.0
    sway: float = 0.0
    rate: float = 1.0
    phase: float = 0.0

    def at(self, t: np.ndarray | float) -> tuple[np.ndarray, np.ndarray]:
        """Road coordinates at time t (seconds after the first key frame)."""
        t = np.asarray(t, np.float64)
        s = self.s + self.speed * t + self.sway * (np.sin(self.rate * t + self.phase) - math.sin(self.phase))
        return s, self.d + self.drift * t

    @property
    def moves(self) -> bool:
        return self.speed != 0.0 or self.drift != 0.0


@dataclass(frozen=True)
class SceneObject:
    """One object: a lidarseg category, its parts and its motion."""

    category: int
    parts: tuple[bp.Part, ...]
    track: Track
    in_traffic: bool = False

    @property
    def annotated(self) -> bool:
        return self.category in ANNOTATED

    @property
    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper corner of the union of the parts, object frame, metres."""
        centres, sizes = (np.array([getattr(p, name) for p in self.parts]) for name in ("centre", "size"))
        return (centres - sizes / 2).min(0), (centres + sizes / 2).max(0)


class Layout:
    """Places objects one by one; an object that would ever overlap another one is refused.

    Args:
        road: the road.
        ego: motion of the ego vehicle.
        duration: seconds during which the scene is used.
    """

    def __init__(self, road: Road, ego: Track, duration: float) -> None:
        self.road, self.ego = road, ego
        self.objects: list[SceneObject] = []
        self._times = np.linspace(-0.1, duration, max(8, int(4 * duration)))
        self._tracks = [np.stack(np.broadcast_arrays(*ego.at(self._times)))]
        self._extents = [np.array(EGO_SIZE) / 2 + 0.3]

    def place(
        self, category: str | int, parts: tuple[bp.Part, ...], track: Track, *, gap: float = 0.3, traffic: bool = False
    ) -> bool:
        """Add an object unless its bounding rectangle, grown by `gap` metres, meets another one at any time."""
        number = category if isinstance(category, int) else LIDARSEG_ID[category]
        thing = SceneObject(number, parts, track, traffic)
        low, high = thing.bounds
        c, s = abs(math.cos(track.yaw)), abs(math.sin(track.yaw))
        half = np.maximum(np.abs(low[:2]), np.abs(high[:2]))
        extent = np.array([c * half[0] + s * half[1], s * half[0] + c * half[1]])
        path = np.stack(np.broadcast_arrays(*track.at(self._times)))
        distance = np.abs(np.asarray(self._tracks) - path)  # [objects, 2, times]
        reach = np.asarray(self._extents)[..., None] + extent[:, None] + gap
        if bool(np.any(np.all(distance < reach, axis=1))):
            return False
        self.objects.append(thing)
        self._tracks.append(path)
        self._extents.append(extent)
        return True

    def place_near(
        self,
        category: str,
        make: Callable[[], tuple[bp.Part, ...]],
        tracks: Callable[[], Track],
        *,
        tries: int = 60,
        gap: float = 0.3,
        traffic: bool = False,
    ) -> bool:
        """Draw tracks until one is free."""
        parts = make()
        return any(self.place(category, parts, tracks(), gap=gap, traffic=traffic) for _ in range(tries))


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
    start = MARGIN_BEHIND + rng.uniform(10, 18)
    layout.place("vehicle.construction", bp.excavator(rng), Track(start + 9, d, yaw=rng.uniform(-0.15, 0.15)))
    for k in range(3):
        layout.place(
            "movable_object.barrier", bp.barrier(rng), Track(start + 0.9 * k, d + 0.9 * (k - 1), yaw=0.35), gap=-0.4
        )
        layout.place(
            "movable_object.barrier",
            bp.barrier(rng),
            Track(start + 19.5, d + 2.0 * (k - 1) * 0.55, yaw=0.0),
            gap=-1.5 if k else 0,
        )
    for k in range(7):
        for side in (-1, 1):
            layout.place(
                "movable_object.trafficcone", bp.cone(rng), Track(start + 3 + 2.4 * k, d + side * 1.55), gap=0.0
            )
    vest = dict(coat=bp.HI_VIS, hat=bp.AMBER)
    for _ in range(2):
        layout.place_near(
            "human.pedestrian.construction_worker", lambda: bp.pedestrian(rng, **vest),
            lambda: Track(start + rng.uniform(2, 18), d + rng.uniform(-1, 1), yaw=rng.uniform(-3, 3)), gap=0.1,
        )  # fmt: skip


def _lanes(layout: Layout) -> list[tuple[float, int]]:
    section = layout.road.section
    inner, outer = section.median + 1.75, section.inner + 1.85
    return [(-inner, 1), (-outer, 1), (inner, -1), (outer, -1)]


def _traffic(layout: Layout, rng: np.random.Generator) -> None:
    """Vehicles that share the speed of their lane, and cyclists at the right edge of the road."""
    here = MARGIN_BEHIND
    kinds: list[tuple[str, Callable[[], tuple[bp.Part, ...]]]] = [
        ("vehicle.bus.rigid", lambda: bp.bus(rng)), ("vehicle.motorcycle", lambda: bp.motorcycle(rng)),
        ("vehicle.truck", lambda: bp.truck(rng)), ("vehicle.car", lambda: bp.car(rng)), ("vehicle.car", lambda: bp.car(rng)),
        ("vehicle.emergency.ambulance", lambda: bp.ambulance(rng)), ("vehicle.car", lambda: bp.car(rng)),
        ("vehicle.emergency.police", lambda: bp.police_car(rng)), ("vehicle.bus.bendy", lambda: bp.bendy_bus(rng)),
        ("vehicle.motorcycle", lambda: bp.motorcycle(rng)), *[("vehicle.car", lambda: bp.car(rng))] * 9,
    ]  # fmt: skip
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

        layout.place_near("vehicle.bicycle", lambda: bp.bicycle(rng), beside, gap=0.15, traffic=True)


def _road_train(layout: Layout, rng: np.random.Generator, in_lane: Callable[[float], Track]) -> None:
    """A truck that tows a trailer: the same track, shifted along the road."""
    for _ in range(80):
        length = float(rng.uniform(6.5, 7.5))
        front = in_lane(24)
        direction = 1 if abs(front.yaw) < 1 else -1
        towed, pulling = bp.trailer(rng), bp.truck(rng, length)
        back = length / 2 + 1.0 - min(p.centre[0] - p.size[0] / 2 for p in towed)
        if layout.place("vehicle.truck", pulling, front, gap=1.2, traffic=True):
            if layout.place(
                "vehicle.trailer", towed, replace(front, s=front.s - direction * back), gap=-0.9, traffic=True
            ):
                return
            layout.objects.pop()
            layout._tracks.pop()
            layout._extents.pop()


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
                layout.place("vehicle.car", bp.car(rng), track, gap=0.1)
            elif kind < 0.93:
                layout.place("vehicle.truck", bp.truck(rng, 6.3), track, gap=0.1)
            else:
                layout.place("vehicle.trailer", bp.trailer(rng), track, gap=0.1)
    for middle, half in road.crossings:
        for k in range(4):
            side, lane = (1 if k % 2 else -1), (1 if k < 2 else -1)
            d = side * (section.sidewalk + 8 + rng.uniform(0, 14))
            layout.place(
                "vehicle.car", bp.car(rng), Track(middle + lane * (half - 1.2), d, math.pi / 2 * lane), gap=0.2
            )
    walk = (section.kerb + section.sidewalk) / 2
    for k in range(3):
        for name, make in (("vehicle.bicycle", bp.bicycle), ("vehicle.motorcycle", bp.motorcycle)):
            layout.place_near(
                name, lambda make=make: make(rng, False),  # type: ignore[misc]
                lambda k=k: Track(MARGIN_BEHIND + rng.uniform(-15, 45), (1 if k % 2 else -1) * (walk + 0.8), rng.uniform(1.2, 1.8)),  # type: ignore[misc]
            )  # fmt: skip


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
        layout.place_near("human.pedestrian.adult", lambda: bp.pedestrian(rng), crossing, gap=0.4, traffic=True)
    for k in range(14):
        child = k % 7 == 3
        height = rng.uniform(1.05, 1.35) if child else 0.0
        layout.place_near(
            "human.pedestrian.child" if child else "human.pedestrian.adult", lambda h=height: bp.pedestrian(rng, h),  # type: ignore[misc]
            lambda: strolling(rng.uniform(0.7, 1.8)), traffic=True,
        )  # fmt: skip
    for name, make, speed in (
        ("human.pedestrian.police_officer", lambda: bp.pedestrian(rng, coat=(0.06, 0.10, 0.30), hat=(0.06, 0.10, 0.30)), 0.0),
        ("human.pedestrian.wheelchair", lambda: bp.wheelchair(rng), 0.7), ("human.pedestrian.stroller", lambda: bp.stroller(rng), 1.0),
        ("human.pedestrian.personal_mobility", lambda: bp.scooter(rng), 2.5), ("animal", lambda: bp.animal(rng), 1.2),
    ):  # fmt: skip
        layout.place_near(name, make, lambda v=speed: strolling(v), traffic=True)  # type: ignore[misc]


def _furniture(layout: Layout, rng: np.random.Generator) -> None:
    """Street lights, signals, signs, racks, bins and benches."""
    section, road = layout.road.section, layout.road
    post = section.kerb + 0.3
    for side in (-1, 1):
        facing = math.pi / 2 if side < 0 else -math.pi / 2
        for s in np.arange(12.0 + 8 * (side > 0), road.length, 26.0):
            if not road.near_crossing(s, 1.0):
                layout.place(MANMADE, bp.street_light(rng), Track(float(s), side * (post + 0.1), facing), gap=-1.6)
        for s in np.arange(20.0, road.length, 33.0):
            if not road.near_crossing(s, 2.0):
                layout.place(
                    MANMADE,
                    bp.sign(rng),
                    Track(float(s + rng.uniform(-4, 4)), side * post, math.pi if side < 0 else 0.0),
                    gap=0.05,
                )
    for middle, half in road.crossings:
        for side in (-1, 1):
            layout.place(
                MANMADE, bp.traffic_light(rng), Track(middle - side * (half + 1.2), side * post, 0.0), gap=-0.1
            )
    for k in range(8):
        name, make = (
            ("static_object.bicycle_rack", bp.bicycle_rack), ("movable_object.pushable_pullable", bp.container),
            ("movable_object.debris", bp.debris), (STATIC_OTHER, bp.bench),
        )[k % 4]  # fmt: skip
        layout.place_near(
            name, lambda make=make: make(rng),  # type: ignore[misc,arg-type]
            lambda k=k: Track(MARGIN_BEHIND + rng.uniform(-20, 50), (1 if k < 4 else -1) * (section.sidewalk - rng.uniform(0.6, 1.0)), 0.0),  # type: ignore[misc]
        )  # fmt: skip


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
                        bp.building(rng, length, depth, height),
                        Track(float(middle), d, rng.normal(0, 0.02)),
                        gap=0.0,
                    )
                elif clear and row == 0:
                    layout.place(
                        MANMADE, bp.wall(rng, length - 2), Track(float(middle), side * (front + 0.6), 0.0), gap=0.0
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
                    VEGETATION, bp.tree(rng, 0.85), Track(at, side * (section.kerb + 0.5), rng.uniform(0, 3)), gap=-1.3
                )
        for s in np.arange(4.0, road.length, 7.0):
            length = rng.uniform(3.0, 6.0)
            if rng.random() < 0.4 and not road.near_crossing(s, 8.0):
                layout.place(
                    VEGETATION, bp.hedge(rng, length), Track(float(s), side * (section.sidewalk + 0.7), 0.0), gap=0.05
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
        parts = bp.bush(rng) if kind < 0.3 else (bp.conifer(rng, size) if kind < 0.5 else bp.tree(rng, size))
        layout.place(VEGETATION, parts, Track(float(s), float(d), rng.uniform(0, 3)), gap=-0.6 * (kind >= 0.5))
