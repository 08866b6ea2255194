"""The world in the layout of Occ3D-Waymo with its community pickles (spec/data/waymo sections 1 to 3)."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from ...structures import OCC3D_WAYMO
from ..waymo_index import CAMERAS, IMAGE_FOLDERS, PICKLES
from .files import write_atomic, write_jpeg, write_json, write_npz, write_raw
from .frames import FrameTask, class_table, observe
from .keyframe import OCC3D_GRID
from .presets import Preset
from .sensors import Camera, CameraValues, make_camera

INTERVAL = 0.1
"""Seconds between frames."""
_FRONT_SIZE, _SIDE_SIZE = (1920, 1280), (1920, 886)
# FRONT fires with the lidar: its pose is that of the frame.
_RIG: dict[str, tuple[tuple[int, int], CameraValues]] = {
    "FRONT": (_FRONT_SIZE, (1.54, -0.02, 2.12, 0.0, -0.3, 2060, 948, 628, 0.0)),
    "FRONT_LEFT": (_FRONT_SIZE, (1.50, 0.10, 2.12, 45.2, 0.2, 2058, 955, 641, 12.0)),
    "SIDE_LEFT": (_SIDE_SIZE, (1.43, 0.12, 2.12, 90.3, -0.1, 2055, 961, 250, 25.0)),
    "FRONT_RIGHT": (_FRONT_SIZE, (1.49, -0.10, 2.12, -44.8, 0.1, 2062, 951, 637, -12.0)),
    "SIDE_RIGHT": (_SIDE_SIZE, (1.43, -0.11, 2.12, -89.9, 0.0, 2057, 948, 246, -25.0)),
}
_CLASSES = {
    "vehicle.": "vehicle", "vehicle.bicycle": "bicycle", "vehicle.motorcycle": "motorcycle",
    "human.pedestrian.": "pedestrian", "movable_object.trafficcone": "construction_cone",
    "flat.": "walkable", "flat.driveable_surface": "road", "static.manmade": "building",
    "static.vegetation": "vegetation",
}  # fmt: skip
(_FREE_ON_DISK, _FREE) = OCC3D_WAYMO.disk_ids[0]
_FOLDERS = {"train": "training", "val": "validation"}


def tasks(root: Path, size: Preset, seed: int, scale: float) -> list[FrameTask]:
    """All frames; scenes are called PSSS, as the first digits of their frames."""
    counts = {"train": size.train_scenes, "val": size.val_scenes}
    return [
        FrameTask(root, seed, split, f"{digit}{scene:03d}", 1000 * digit + scene, i, size.keyframes, INTERVAL, scale)
        for digit, (split, scenes) in enumerate(counts.items())
        for scene in range(scenes)
        for i in range(size.keyframes)
    ]


def write_frame(task: FrameTask) -> None:
    """Write images, lidar, labels and, last, the record of a frame.

    Raises:
        DataError: a file cannot be written.
    """
    cameras, token = _rig(task), f"{task.scene}{task.index:03d}"
    seen = observe(task, cameras, OCC3D_GRID, class_table(OCC3D_WAYMO, _CLASSES))
    folder = task.root / "kitti_format" / "training"
    for number, image in zip(IMAGE_FOLDERS, seen.images):
        write_jpeg(folder / f"image_{number}" / f"{token}.jpg", image)
    more = np.zeros((len(seen.points), 2), "<f4")
    more[:, 1] = np.arange(len(more))  # elongation, and the place in the range image
    write_raw(folder / "velodyne" / f"{token}.bin", np.concatenate((seen.points, more), axis=1))
    write_npz(
        task.root / "gts" / _FOLDERS[task.split] / task.scene[1:] / f"{task.index:03d}_04.npz",
        voxel_label=np.where(seen.class_id == _FREE, _FREE_ON_DISK, seen.class_id).astype(np.uint8),
        origin_voxel_state=seen.mask_lidar.astype(np.uint8),
        final_voxel_state=seen.mask_camera.astype(np.uint8),
        infov=_in_view(cameras),
        ego2global=seen.global_from_ego,
    )
    poses = [pose.tolist() for pose in seen.camera_global_from_ego]
    write_json(task.record, {"token": token, "timestamp": task.timestamp, "poses": poses})


def finish(tasks: list[FrameTask]) -> None:
    """Write the pickles of both splits; images are called .png in them, as in the published ones."""
    for split, (info_name, pose_name) in PICKLES.items():
        infos: list[dict[str, Any]] = []
        poses: dict[int, dict[int, list[dict[str, np.ndarray]]]] = {}
        for task in (t for t in tasks if t.split == split):
            record = json.loads(task.record.read_text())
            image = {"image_idx": int(record["token"]), "image_path": f"training/image_0/{record['token']}.png"}
            infos.append({"image": image, "timestamp": record["timestamp"], "annos": {"name": np.array([], "<U1")}})
            poses.setdefault(int(task.scene[1:]), {})[task.index] = [
                {"intrinsics": _square(c.intrinsics), "sensor2ego": c.ego_from_cam, "ego2global": np.array(pose)}
                for c, pose in zip(_rig(task), record["poses"])
            ]
        folder = tasks[0].root / "gts"
        for name, content in ((info_name, infos), (pose_name, poses)):
            _write_pickle(folder / name, content)


def _write_pickle(path: Path, content: Any) -> None:
    write_atomic(path, lambda file: pickle.dump(content, file, protocol=4))


def _rig(task: FrameTask) -> tuple[Camera, ...]:
    """The five cameras in the order of the pose lists."""
    return tuple(
        make_camera(task.seed, task.scene, name, values, full, task.image_scale)
        for name in CAMERAS
        for full, values in (_RIG[name],)
    )


def _square(intrinsics: np.ndarray) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3] = intrinsics
    return matrix


def _in_view(cameras: tuple[Camera, ...]) -> np.ndarray:
    """[X, Y, Z] bool: the centre of a voxel lies in an image."""
    # Without VoxelGrid.centers: torch hangs in a process that was forked.
    grid = OCC3D_GRID
    axes = (lo + step * (np.arange(n) + 0.5) for lo, step, n in zip(grid.lower, grid.voxel_size, grid.shape))
    x, y, z = np.meshgrid(*axes, indexing="ij", sparse=True)
    seen = np.zeros(grid.shape, np.bool_)
    for camera in cameras:
        matrix = camera.intrinsics @ np.linalg.inv(camera.ego_from_cam)[:3]
        u, v, depth = (row[0] * x + row[1] * y + row[2] * z + row[3] for row in matrix)
        width, height = camera.size
        inside = (u >= -0.5 * depth) & (u < (width - 0.5) * depth) & (v >= -0.5 * depth) & (v < (height - 0.5) * depth)
        seen |= (depth > 0) & inside
    return seen
