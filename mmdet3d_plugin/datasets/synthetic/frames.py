"""One frame of the world as any rig of cameras sees it; the formats beside nuScenes are made of these."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...structures import LabelSpace, VoxelGrid
from .catalog import LIDARSEG_NAMES
from .keyframe import PROGRESS, visibility, world_of
from .labels import FREE
from .sensors import Camera
from .solids import transform

_EPOCH = 1_500_000_000_000_000  # microseconds; scenes follow each other at intervals of 100 s


@dataclass(frozen=True)
class FrameTask:
    """One frame to write.

    Attributes:
        root: folder of the data set.
        seed: of the data set.
        split: "train" or "val".
        scene: name of the scene.
        number: of the scene in the data set.
        index: position of the frame in its scene.
        frames: frames of the scene.
        interval: seconds between frames.
        image_scale: size of the images as a share of their full size.
    """

    root: Path
    seed: int
    split: str
    scene: str
    number: int
    index: int
    frames: int
    interval: float
    image_scale: float

    @property
    def time(self) -> float:
        """Seconds after the first frame of the scene."""
        return self.index * self.interval

    @property
    def timestamp(self) -> int:
        """Microseconds."""
        return _EPOCH + self.number * 100_000_000 + round(self.time * 1e6)

    @property
    def record(self) -> Path:
        """File that says that the frame is complete."""
        return self.root / PROGRESS / f"{self.scene}-{self.index:03d}.json"


@dataclass(frozen=True)
class Observation:
    """What the sensors measure in one frame, and what is there.

    Attributes:
        images: [H, W, 3] uint8 of every camera, each at its own time.
        camera_global_from_ego: [4, 4] ego pose at the time of every camera.
        global_from_ego: [4, 4] ego pose of the frame.
        points: [P, 4] float32 lidar returns (x, y, z, intensity 0..1), metres, ego frame.
        class_id: [X, Y, Z] uint8 ids of a label space.
        mask_lidar, mask_camera: [X, Y, Z] bool.
    """

    images: tuple[np.ndarray, ...]
    camera_global_from_ego: tuple[np.ndarray, ...]
    global_from_ego: np.ndarray
    points: np.ndarray
    class_id: np.ndarray
    mask_lidar: np.ndarray
    mask_camera: np.ndarray


def observe(task: FrameTask, cameras: tuple[Camera, ...], grid: VoxelGrid, table: np.ndarray) -> Observation:
    """Render, scan and label one frame.

    Args:
        task: which frame.
        cameras: the rig.
        grid: of the labels, ego frame.
        table: [256] label id of every lidarseg id, see `class_table`.
    """
    world = world_of(task.seed, task.scene, (task.frames - 1) * task.interval, task.image_scale)
    ego = world.ego_pose(task.time)
    poses = tuple(world.ego_pose(task.time + c.delay) for c in cameras)
    images = tuple(
        world.render(
            task.time + c.delay, pose @ c.ego_from_cam, c.intrinsics, c.size, noise_key=(c.channel, task.index)
        ).rgb
        for c, pose in zip(cameras, poses)
    )
    ego_from_lidar = world.rig.ego_from_lidar
    sweep = world.scan(task.time, ego @ ego_from_lidar, noise_key=task.index)
    points = np.column_stack((transform(ego_from_lidar, sweep.points[:, :3]), sweep.points[:, 3] / 255))
    labels = world.voxelise(task.time, ego, grid)
    masks = visibility(world, task.time, labels.occupied, grid, cameras)
    return Observation(images, poses, ego, points.astype("<f4"), table[labels.class_id], *masks)


def class_table(space: LabelSpace, of_prefix: dict[str, str]) -> np.ndarray:
    """Label id of every lidarseg id: [256] uint8.

    Args:
        space: of the labels; its first class is that of everything which no prefix fits.
        of_prefix: beginning of a lidarseg name -> class; the longest that fits counts.
    """
    table = np.full(256, 0, np.uint8)
    for number, name in enumerate(LIDARSEG_NAMES):
        fitting = [prefix for prefix in of_prefix if name.startswith(prefix)]
        if fitting:
            table[number] = space.index(of_prefix[max(fitting, key=len)])
    table[FREE] = space.free
    return table
