"""One scene of the world: everything that can be seen or measured at any time, from any pose."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ...structures import VoxelGrid
from .catalog import LIDARSEG_ID, MANMADE, NO_CLASS, VEGETATION, generator
from .labels import VoxelLabels, voxelise
from .layout import MARGIN_BEHIND
from .light import Shadow, add_shadows, draw_light, empty_shadow
from .placement import make_layout
from .raycast import cast_beams, cast_image, count_pixels, sector_lists, tile_lists
from .road import Road, classify_ground
from .sensors import MAX_RANGE, NO_FLAWS, LidarFlaws, Rig, lidar_directions, make_rig, rigid, roof_distances, rotation_z
from .shading import display_values, shade_image
from .solids import BOX, GROUND, Solids, transform

NOISE = 3.0
"""Standard deviation of the sensor noise, in display values 0..255."""
DROPPED = 0.02
"""Share of lidar returns that get lost."""
_THIN = 0.5  # metres; narrower things win over trees and houses in a voxel


@dataclass(frozen=True)
class View:
    """What the pixels of an image meet.

    Attributes:
        solids: all solids of the scene at that time.
        lists: solids that each tile of the image may see, see `raycast.tile_lists`.
        pose: origin [3] and rotation [3, 3] of global_from_cam (metres), intrinsics [3, 3].
        depth: [H, W] float32 z-depth in metres, exact at the middle of the pixel, inf for sky.
        hit: [H, W] int32 index of a solid, GROUND or SKY.
        pixels: [objects, 2] int64 pixels in which each object is seen, and which it would cover if it were alone.
    """

    solids: Solids
    lists: tuple[np.ndarray, np.ndarray, np.ndarray]
    pose: tuple[np.ndarray, np.ndarray, np.ndarray]
    depth: np.ndarray
    hit: np.ndarray
    pixels: np.ndarray

    def points(self, index: np.ndarray) -> np.ndarray:
        """Global points [N, 3] that are seen by pixels, given by their flat index [N]."""
        (origin, rotation, k), (v, u) = self.pose, np.divmod(index, self.hit.shape[1])
        rays = np.stack(((u - k[0, 2]) / k[0, 0], (v - k[1, 2]) / k[1, 1], np.ones(len(u))), -1)
        return origin + transform(rotation, rays) * self.depth.reshape(-1)[index, None]


@dataclass(frozen=True)
class Rendering:
    """One image and what is behind every pixel.

    Attributes:
        rgb: [H, W, 3] uint8.
        depth: [H, W] float32 z-depth in metres, exact at the middle of the pixel, inf for sky.
        class_id: [H, W] uint8 lidarseg id, 255 for sky.
        instance_id: [H, W] int32, 0 for what has no annotation, else 1 + index of the object.
        pixels: [objects, 2] int64 pixels in which each object is seen, and which it would cover if it were alone.
    """

    rgb: np.ndarray
    depth: np.ndarray
    class_id: np.ndarray
    instance_id: np.ndarray
    pixels: np.ndarray


@dataclass(frozen=True)
class Sweep:
    """One lidar sweep of N returns, ordered by azimuth, then ring.

    Attributes:
        points: [N, 5] float32: x, y, z in the lidar frame (metres), intensity 0..255, ring.
        class_id: [N] uint8 lidarseg ids.
    """

    points: np.ndarray
    class_id: np.ndarray


@dataclass(frozen=True)
class Box:
    """Annotation of one object at one time, global frame: centre, size (w, l, h) in metres, heading in radians."""

    instance: int
    category: int
    centre: np.ndarray
    size: np.ndarray
    yaw: float
    speed: float

    @property
    def geometry(self) -> np.ndarray:
        """[9] as a row of `Solids.geometry`."""
        width, length, height = self.size / 2
        return np.array([*self.centre, math.cos(self.yaw), math.sin(self.yaw), length, width, height, BOX])


class World:
    """A scene as a function of time and pose. The same arguments always give the same world.

    Args:
        seed: of the whole data set.
        scene: name, for example "scene-0061".
        duration: seconds from the first to the last key frame.
        image_scale: size of the images as a share of 1600 x 900.
    """

    def __init__(self, seed: int, scene: str, duration: float, image_scale: float = 0.44) -> None:
        self.seed, self.scene, self.duration = seed, scene, duration
        self.rig: Rig = make_rig(seed, scene, image_scale)
        self.road = Road(generator(seed, scene, "road"), MARGIN_BEHIND + 10.5 * duration + 95.0)
        self.ground = self.road.ground()
        self.light = draw_light(generator(seed, scene, "light"), float(self.road.pose(MARGIN_BEHIND, 0.0)[2]))
        layout = make_layout(seed, scene, self.road, duration)
        self.ego_track, self.objects = layout.ego, tuple(layout.objects)
        self._category = np.array([o.category for o in self.objects])
        self._annotated = np.array([o.annotated for o in self.objects])
        self._bounds = np.array([o.bounds for o in self.objects])
        self._build_parts()

    def _build_parts(self) -> None:
        parts = [part for thing in self.objects for part in thing.parts]
        self._owner = np.repeat(np.arange(len(self.objects)), [len(o.parts) for o in self.objects])
        self._centre = np.array([p.centre for p in parts], np.float64)
        self._half = np.array([p.size for p in parts], np.float64) / 2
        self._shape = np.array([p.shape for p in parts])
        self._colour = np.array([p.colour for p in parts], np.float64) ** 2.2  # display values to linear light
        self._material = np.array([p.material for p in parts])
        category = self._category[self._owner]
        thin = (category == MANMADE) & (self._half[:, :2].min(1) < _THIN / 2)
        self._rank = np.where(category == MANMADE, 0, np.where(category == VEGETATION, 1, 3)) + 2 * thin
        moving = np.array([o.track.moves for o in self.objects])
        self._moving_part = moving[self._owner]

    # ---------------------------------------------------------------------------------------------- motion

    def ego_pose(self, time: float) -> np.ndarray:
        """global_from_ego at a time (seconds after the first key frame): [4, 4] float64, z = 0, upright."""
        x, y, heading = self.road.pose(*self.ego_track.at(time))
        return rigid(rotation_z(float(heading)), np.array([x, y, 0.0]))

    def object_poses(self, time: float) -> np.ndarray:
        """Global x, y (metres) and yaw (radians) of all objects: [objects, 3] float64."""
        s, d = np.array([o.track.at(time) for o in self.objects]).T
        poses = self.road.pose(s, d)
        poses[:, 2] += [o.track.yaw for o in self.objects]
        return poses

    def object_velocities(self, time: float) -> np.ndarray:
        """Global velocity of all objects, m/s: [objects, 2], central difference over 20 ms; exactly 0 if static."""
        delta = 0.01
        return (self.object_poses(time + delta)[:, :2] - self.object_poses(time - delta)[:, :2]) / (2 * delta)

    def solids(self, time: float) -> Solids:
        """All solids at a time, global frame."""
        poses = self.object_poses(time)[self._owner]
        c, s = np.cos(poses[:, 2]), np.sin(poses[:, 2])
        x = poses[:, 0] + c * self._centre[:, 0] - s * self._centre[:, 1]
        y = poses[:, 1] + s * self._centre[:, 0] + c * self._centre[:, 1]
        geometry = np.column_stack((x, y, self._centre[:, 2], c, s, self._half, self._shape))
        return Solids(geometry, self._colour, self._material, self._owner)

    def boxes(self, time: float) -> list[Box]:
        """Annotation boxes of all annotated objects at a time."""
        poses, speeds = self.object_poses(time), np.hypot(*self.object_velocities(time).T)
        result = []
        for k in np.flatnonzero(self._annotated):
            low, high = self._bounds[k]
            x, y, yaw = poses[k]
            middle = rotation_z(yaw) @ ((low + high) / 2) + (x, y, 0.0)
            length, width, height = high - low
            result.append(
                Box(
                    int(k),
                    int(self._category[k]),
                    middle,
                    np.array([width, length, height]),
                    float(yaw),
                    float(speeds[k]),
                )
            )
        return result

    # --------------------------------------------------------------------------------------------- sensors

    @cached_property
    def _static_shadow(self) -> Shadow:
        low = np.array([self.road.x.min(), self.road.y.min()]) - 40.0
        high = np.array([self.road.x.max(), self.road.y.max()]) + 40.0
        fixed = _subset(self.solids(0.0), ~self._moving_part)
        return add_shadows(empty_shadow(low, high), fixed, self.light.to_sun)

    def see(self, time: float, global_from_cam: np.ndarray, intrinsics: np.ndarray, size: tuple[int, int]) -> View:
        """What a pinhole camera sees, without its colours; arguments as in `render`."""
        solids = self.solids(time)
        lists = tile_lists(solids, np.linalg.inv(global_from_cam), intrinsics, size)
        pose = (global_from_cam[:3, 3].copy(), np.ascontiguousarray(global_from_cam[:3, :3]), intrinsics)
        depth, hit = cast_image(solids.geometry, *lists, *pose, *size)
        step = max(1, round(intrinsics[0, 0] / 280))
        pixels = count_pixels(solids.geometry, solids.owner, *lists[:2], *pose, hit, len(self.objects), step)
        return View(solids, lists, pose, depth, hit, pixels)

    def render(
        self,
        time: float,
        global_from_cam: np.ndarray,
        intrinsics: np.ndarray,
        size: tuple[int, int],
        noise_key: object = None,
    ) -> Rendering:
        """Image of a pinhole camera.

        Args:
            time: seconds after the first key frame.
            global_from_cam: [4, 4] metres; camera axes right, down, forward.
            intrinsics: [3, 3] pixels, integer coordinates are pixel centres, no skew.
            size: width, height in pixels.
            noise_key: what the sensor noise depends on; None renders without noise.
        """
        view = self.see(time, global_from_cam, intrinsics, size)
        moving = _subset(view.solids, self._moving_part)
        shadow = add_shadows(self._static_shadow, moving, self.light.to_sun)
        image = display_values(
            shade_image(view.solids, self.ground, self.light, shadow, *view.lists, *view.pose, view.depth, view.hit)
        )
        if noise_key is not None:
            noise = generator(self.seed, self.scene, "noise", noise_key).standard_normal(view.hit.shape, np.float32)
            image += NOISE * noise[..., None]
        rgb = np.clip(np.rint(image), 0, 255).astype(np.uint8)
        class_id = self._classes(view.hit, view.points)
        owner = self._owner[np.maximum(view.hit, 0)]
        instance = np.where((view.hit >= 0) & self._annotated[owner], owner + 1, 0).astype(np.int32)
        return Rendering(rgb, view.depth, class_id, instance, view.pixels)

    def scan(
        self, time: float, global_from_lidar: np.ndarray, noise_key: object = None, flaws: LidarFlaws = NO_FLAWS
    ) -> Sweep:
        """One motion-compensated lidar sweep: all beams at the same instant.

        Args:
            time: seconds after the first key frame.
            global_from_lidar: [4, 4] metres; lidar axes right, forward, up.
            noise_key: decides which 2 % of the returns are lost; None keeps all.
            flaws: of the sensor; those of the distances are drawn by `noise_key` as well.
        """
        solids = self.solids(time)
        origin = global_from_lidar[:3, 3].copy()
        local, rings = lidar_directions()
        directions = transform(global_from_lidar[:3, :3], local)
        distance, hit, cosine = cast_beams(
            solids.geometry, *sector_lists(solids, origin, MAX_RANGE), origin, directions, MAX_RANGE
        )
        own = roof_distances(self.rig.ego_from_lidar) if flaws.own_car else np.full(len(distance), np.inf)
        on_roof = own < distance
        distance = np.minimum(distance, own)
        keep = np.isfinite(distance)
        if noise_key is not None:
            keep &= generator(self.seed, self.scene, "lidar", noise_key).random(len(keep)) >= DROPPED
        local, rings, distance, hit, cosine, on_roof = (v[keep] for v in (local, rings, distance, hit, cosine, on_roof))
        directions = directions[keep]
        class_id = self._classes(hit, lambda n: origin + directions[n] * distance[n, None])
        class_id[on_roof] = LIDARSEG_ID["vehicle.ego"]
        if flaws.range_noise:
            noise = generator(self.seed, self.scene, "range", noise_key).standard_normal(len(distance))
            distance = distance + flaws.range_noise * noise
        reflectivity = 20 + (class_id.astype(np.int64) * 53) % 90
        intensity = np.clip(reflectivity * np.abs(cosine) * np.exp(-distance / 80), 0, 255)
        columns = (local * distance[:, None], np.rint(intensity)[:, None], rings[:, None])
        return Sweep(np.concatenate(columns, 1).astype(np.float32), class_id)

    def voxelise(self, time: float, global_from_frame: np.ndarray, grid: VoxelGrid) -> VoxelLabels:
        """Labels of a grid that lives in any frame: see :func:`labels.voxelise`."""
        order = np.argsort(self._rank, kind="stable")
        velocity = self.object_velocities(time)
        return voxelise(
            self.solids(time), order, self._category, self._annotated, velocity, self.ground, global_from_frame, grid
        )

    def _classes(self, hit: np.ndarray, locate: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """Lidarseg ids of what rays met: [...] uint8.

        Args:
            hit: [...] index of a solid, GROUND or SKY.
            locate: global points [N, 3] of rays given by their flat index [N].
        """
        flat = hit.reshape(-1)
        of_solid = self._category.astype(np.uint8)[self._owner]
        classes = np.append(of_solid, (NO_CLASS, NO_CLASS)).astype(np.uint8)[flat]  # -2 and -1 index the two last
        on_ground = np.flatnonzero(flat == GROUND)
        classes[on_ground] = classify_ground(self.ground, locate(on_ground))
        return classes.reshape(hit.shape)


def _subset(solids: Solids, keep: np.ndarray) -> Solids:
    return Solids(*(field[keep] for field in solids))
