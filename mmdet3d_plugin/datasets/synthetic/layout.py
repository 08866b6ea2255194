"""Objects, how they move in road coordinates, and the rule that they never meet."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .catalog import ANNOTATED, LIDARSEG_ID
from .parts import Part
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
    parts: tuple[Part, ...]
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
        self, category: str | int, parts: tuple[Part, ...], track: Track, *, gap: float = 0.3, traffic: bool = False
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

    def remove_last(self) -> None:
        """Take back the object that was placed last."""
        for values in (self.objects, self._tracks, self._extents):
            values.pop()

    def place_near(
        self,
        category: str,
        make: Callable[[], tuple[Part, ...]],
        tracks: Callable[[], Track],
        *,
        tries: int = 60,
        gap: float = 0.3,
        traffic: bool = False,
    ) -> bool:
        """Draw tracks until one is free."""
        parts = make()
        return any(self.place(category, parts, tracks(), gap=gap, traffic=traffic) for _ in range(tries))
