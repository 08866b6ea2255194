"""Everything that is written for one key frame."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from ...evaluation import lidar_origins, lidar_rays
from ...structures import VoxelGrid
from .catalog import (
    OCC3D_FREE,
    OCC3D_FROM_LIDARSEG,
    OPENOCC_FLOW_CLASSES,
    OPENOCC_FREE,
    OPENOCC_FROM_OCC3D,
    VISIBILITIES,
    attribute_of,
    token,
)
from .files import write_jpeg, write_json, write_npy, write_npz, write_raw
from .labels import VoxelLabels, camera_mask, ray_mask
from .presets import KEYFRAME_INTERVAL
from .scene import Sweep, World
from .sensors import LIDAR_CHANNEL, NO_FLAWS, RINGS, Camera, LidarFlaws, lidar_directions, quaternion, rotation_z
from .solids import count_points, transform

OCC3D_GRID = VoxelGrid((-40.0, -40.0, -1.0), (40.0, 40.0, 5.4), (200, 200, 16))
SURROUNDOCC_GRID = VoxelGrid((-50.0, -50.0, -5.0), (50.0, 50.0, 3.0), (200, 200, 16))
OPENOCCUPANCY_GRID = VoxelGrid((-51.2, -51.2, -5.0), (51.2, 51.2, 3.0), (512, 512, 40))
PROGRESS = ".progress"
"""Folder of the records of finished key frames; the tables are made of them."""
MASK_WINDOW, MASK_INTERVAL = 4.0, 0.125
"""The lidar mask collects sweeps up to this many seconds away, at this interval."""
_EPOCH = 1_500_000_000_000_000  # microseconds; scenes follow each other at intervals of 100 s
_ANNOTATED_RANGE = 80.0


@dataclass(frozen=True)
class KeyFrameTask:
    """One key frame to write.

    Attributes:
        root: folder of the data set.
        version: name of the table folder.
        seed: of the data set.
        scene: name of the scene.
        index: position of the key frame in its scene.
        keyframes: key frames of the scene.
        image_scale: size of the images as a share of 1600 x 900.
        openoccupancy: also write OpenOccupancy labels.
        flaws: of the lidar.
    """

    root: Path
    version: str
    seed: int
    scene: str
    index: int
    keyframes: int
    image_scale: float
    openoccupancy: bool
    flaws: LidarFlaws = NO_FLAWS

    @property
    def time(self) -> float:
        """Seconds after the first key frame of the scene."""
        return self.index * KEYFRAME_INTERVAL

    @property
    def timestamp(self) -> int:
        """Time of the lidar sweep, microseconds."""
        return _EPOCH + int(self.scene[-4:]) * 100_000_000 + round(self.time * 1e6)

    @property
    def token(self) -> str:
        return sample_token(self.seed, self.scene, self.index)

    @property
    def record(self) -> Path:
        """File that says that the key frame is complete."""
        return self.root / PROGRESS / f"{self.scene}-{self.index:03d}.json"


def sample_token(seed: int, scene: str, index: int) -> str:
    """Token of a key frame."""
    return token(seed, scene, "sample", index)


def log_name(scene: str) -> str:
    """Name of the log of a scene; file names begin with it."""
    return f"synthetic-{scene}"


@lru_cache(maxsize=1)
def evaluation_rays() -> np.ndarray:
    """Directions of the RayIoU rays, [14040, 3] float32. A process calls this before it forks, torch hangs after."""
    return lidar_rays().numpy()


@lru_cache(maxsize=2)
def world_of(seed: int, scene: str, duration: float, image_scale: float) -> World:
    """The world of a scene; those that a process used last are kept."""
    return World(seed, scene, duration, image_scale)


def write_keyframe(task: KeyFrameTask) -> None:
    """Write images, lidar, labels and, last, the record of a key frame.

    Raises:
        DataError: a file cannot be written.
    """
    world = world_of(task.seed, task.scene, (task.keyframes - 1) * KEYFRAME_INTERVAL, task.image_scale)
    data, pixels = [], np.zeros((len(world.objects), 2), np.int64)
    for camera in world.rig.cameras:
        time = task.time + camera.delay
        ego = world.ego_pose(time)
        noise = (camera.channel, task.index)
        view = world.render(time, ego @ camera.ego_from_cam, camera.intrinsics, camera.size, noise_key=noise)
        entry = _data_entry(task, camera.channel, camera.delay, ego, camera.size, "jpg")
        write_jpeg(task.root / entry["filename"], view.rgb)
        pixels += view.pixels
        data.append(entry)
    ego = world.ego_pose(task.time)
    entry = _data_entry(task, LIDAR_CHANNEL, 0.0, ego, (0, 0), "pcd.bin")
    sweep = world.scan(task.time, ego @ world.rig.ego_from_lidar, noise_key=task.index, flaws=task.flaws)
    write_raw(task.root / entry["filename"], sweep.points.astype("<f4"))
    write_raw(task.root / lidarseg_file(task.version, entry["token"]), sweep.class_id)
    data.append(entry)
    counts = _write_ego_labels(task, world)
    _write_lidar_labels(task, world, entry)
    record = {
        "scene": task.scene,
        "index": task.index,
        "timestamp": task.timestamp,
        "data": data,
        "annotations": _annotations(world, task.time, sweep, pixels),
        "occ3d_voxels": counts.tolist(),
    }
    write_json(task.record, record)


def lidarseg_file(version: str, sample_data_token: str) -> str:
    """File of the point classes of a sweep, relative to the root."""
    return f"lidarseg/{version}/{sample_data_token}_lidarseg.bin"


def _data_entry(
    task: KeyFrameTask, channel: str, delay: float, ego: np.ndarray, size: tuple[int, int], ending: str
) -> dict[str, Any]:
    timestamp = task.timestamp + round(delay * 1e6)
    return {
        "token": token(task.seed, task.scene, channel, task.index),
        "channel": channel,
        "timestamp": timestamp,
        "filename": f"samples/{channel}/{log_name(task.scene)}__{channel}__{timestamp}.{ending}",
        "width": size[0],
        "height": size[1],
        "translation": ego[:3, 3].tolist(),
        "rotation": quaternion(ego[:3, :3]),
    }


# --------------------------------------------------------------------------------------------------------- labels


def _occ3d(labels: VoxelLabels) -> np.ndarray:
    table = np.full(256, OCC3D_FREE, np.uint8)
    table[:32] = OCC3D_FROM_LIDARSEG
    return table[labels.class_id]


def _write_ego_labels(task: KeyFrameTask, world: World) -> np.ndarray:
    """Occ3D and OpenOcc labels, in the ego frame at the time of the lidar. Returns voxels per Occ3D class."""
    grid, ego = OCC3D_GRID, world.ego_pose(task.time)
    labels = world.voxelise(task.time, ego, grid)
    semantics = _occ3d(labels)
    mask_lidar, mask_camera = visibility(world, task.time, labels.occupied, grid, world.rig.cameras)
    write_npz(
        task.root / "gts" / task.scene / task.token / "labels.npz",
        semantics=semantics,
        mask_lidar=mask_lidar.astype(np.uint8),
        mask_camera=mask_camera.astype(np.uint8),
    )
    openocc = OPENOCC_FROM_OCC3D[semantics]
    flows = (openocc < OPENOCC_FLOW_CLASSES)[..., None]
    numbers = np.cumsum(np.bincount(labels.instance.reshape(-1)) > 0) - 1  # 0 stays 0: there are always free voxels
    write_npz(
        task.root / "openocc_v2" / task.scene / task.token / "labels.npz",
        semantics=openocc,
        flow=np.where(flows, labels.flow, np.float32(0)),
        instances=np.minimum(numbers, 255).astype(np.uint8)[labels.instance],
    )
    poses = np.stack([world.ego_pose(k * KEYFRAME_INTERVAL) for k in range(task.keyframes)])
    origins = lidar_origins(poses, np.broadcast_to(world.rig.ego_from_lidar, poses.shape), task.index)
    rays = ray_mask(openocc != OPENOCC_FREE, grid, origins, evaluation_rays())
    write_npz(task.root / "openocc_v2_ray_mask" / task.scene / task.token / "labels.npz", ray_mask2=rays)
    return np.bincount(semantics.reshape(-1), minlength=OCC3D_FREE + 1)


def visibility(
    world: World, time: float, occupied: np.ndarray, grid: VoxelGrid, cameras: tuple[Camera, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Lidar and camera mask of a grid in the ego frame, [X, Y, Z] bool; the camera mask lies within the lidar mask.

    Both are cast through the labels of the current key frame. The lidar mask collects the sweeps of the seconds around
    the key frame, as labels that are accumulated over a scene do.

    Args:
        world: the scene.
        time: of the key frame, seconds after the first one.
        occupied: [X, Y, Z] bool labels of the key frame.
        grid: where the voxels are.
        cameras: whose pixels see.
    """
    ego_from_global = np.linalg.inv(world.ego_pose(time))
    first, last = max(time - MASK_WINDOW, 0.0), min(time + MASK_WINDOW, world.duration)
    beams = lidar_directions()[0].reshape(-1, RINGS, 3)[::2].reshape(-1, 3)
    poses = [
        ego_from_global @ world.ego_pose(moment) @ world.rig.ego_from_lidar
        for moment in np.arange(first, last + 1e-6, MASK_INTERVAL)
    ]
    origins, rays = np.stack([p[:3, 3] for p in poses]), np.stack([transform(p[:3, :3], beams) for p in poses])
    mask_lidar = ray_mask(occupied, grid, origins, rays)
    views = tuple(ego_from_global @ world.ego_pose(time + c.delay) @ c.ego_from_cam for c in cameras)
    return mask_lidar, camera_mask(occupied, grid, cameras, views) & mask_lidar


def _write_lidar_labels(task: KeyFrameTask, world: World, lidar: dict[str, Any]) -> None:
    """SurroundOcc and, where asked for, OpenOccupancy labels, in the frame of the lidar."""
    pose = world.ego_pose(task.time) @ world.rig.ego_from_lidar
    name = Path(lidar["filename"]).name
    rows = _sparse(world.voxelise(task.time, pose, SURROUNDOCC_GRID))
    write_npy(task.root / "gts_surroundocc" / "samples" / f"{name}.npy", rows.astype(np.int64))
    if task.openoccupancy:
        folder = task.root / "nuScenes-Occupancy-v0.1" / f"scene_{scene_token(task.seed, task.scene)}" / "occupancy"
        rows = _sparse(world.voxelise(task.time, pose, OPENOCCUPANCY_GRID))
        write_npy(folder / f"{lidar['token']}.npy", rows[:, [2, 1, 0, 3]].astype(np.int32))


def _sparse(labels: VoxelLabels) -> np.ndarray:
    """Rows (x, y, z, class) of the occupied voxels: [N, 4] int64."""
    index = np.argwhere(labels.occupied)
    return np.column_stack((index, _occ3d(labels)[labels.occupied]))


def scene_token(seed: int, scene: str) -> str:
    """Token of a scene."""
    return token(seed, scene)


# ---------------------------------------------------------------------------------------------------- annotations


def _annotations(world: World, time: float, sweep: Sweep, pixels: np.ndarray) -> list[dict[str, Any]]:
    """Boxes of the objects that the sensors can know about."""
    lidar = world.ego_pose(time) @ world.rig.ego_from_lidar
    points = transform(lidar, sweep.points[:, :3])
    boxes = [b for b in world.boxes(time) if math.dist(b.centre[:2], lidar[:2, 3]) < _ANNOTATED_RANGE]
    inside = count_points(points, np.stack([box.geometry for box in boxes]))
    result = []
    for box, count in zip(boxes, inside):
        seen, alone = pixels[box.instance]
        result.append(
            {
                "instance": box.instance,
                "category": box.category,
                "translation": box.centre.tolist(),
                "size": box.size.tolist(),
                "rotation": quaternion(rotation_z(box.yaw)),
                "attribute": attribute_of(box.category, box.speed, world.objects[box.instance].in_traffic),
                "visibility": _visibility_token(seen / alone if alone else 0.0),
                "num_lidar_pts": int(count),
            }
        )
    return result


def _visibility_token(share: float) -> str:
    return next(token for token, _, low, high in VISIBILITIES if low <= share < high or high == 1.0)
