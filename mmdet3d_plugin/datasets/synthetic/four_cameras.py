"""The world as the worked example of an own data set has it (docs/data.md)."""

from __future__ import annotations

import json
from pathlib import Path

from ..four_cameras import STREET, StreetLabels
from .files import write_jpeg, write_json, write_npz, write_png, write_raw
from .frames import FrameTask, class_table, observe
from .presets import KEYFRAME_INTERVAL, Preset
from .sensors import Camera, CameraValues, make_camera

_RIG: dict[str, tuple[tuple[int, int], CameraValues]] = {
    "front": ((1920, 1080), (1.80, 0.00, 1.45, 0.2, -0.4, 1150, 962, 540, 8.0)),
    "left": ((1280, 960), (1.10, 0.60, 1.40, 92.0, -1.0, 640, 645, 470, -15.0)),
    "right": ((1280, 800), (1.10, -0.60, 1.40, -91.0, -1.2, 640, 636, 391, -6.0)),
    "rear": ((1600, 900), (-0.60, 0.05, 1.35, 178.5, -1.5, 800, 806, 452, 21.0)),
}
_CLASSES = {
    "vehicle.": "vehicle", "human.": "person", "flat.": "ground", "flat.driveable_surface": "road",
    "static.manmade": "structure", "static.vegetation": "vegetation",
}  # fmt: skip


def tasks(root: Path, size: Preset, seed: int, scale: float) -> list[FrameTask]:
    """All frames, at 2 Hz."""
    splits = ["train"] * size.train_scenes + ["val"] * size.val_scenes
    return [
        FrameTask(root, seed, split, f"drive-{n:02d}", n, index, size.keyframes, KEYFRAME_INTERVAL, scale)
        for n, split in enumerate(splits)
        for index in range(size.keyframes)
    ]


def write_frame(task: FrameTask) -> None:
    """Write images (those of the rear camera as PNG), lidar, labels and, last, the record of a frame.

    Raises:
        DataError: a file cannot be written.
    """
    cameras, token = _rig(task), f"{task.scene}-{task.index:03d}"
    seen = observe(task, cameras, StreetLabels.native_grid, class_table(STREET, _CLASSES))
    of_cameras = {}
    for camera, image, pose in zip(cameras, seen.images, seen.camera_global_from_ego):
        write, ending = (write_png, "png") if camera.channel == "rear" else (write_jpeg, "jpg")
        file = f"images/{camera.channel}/{token}.{ending}"
        write(task.root / file, image)
        of_cameras[camera.channel] = {
            "file": file,
            "size": camera.size,
            "pixel_from_cam": camera.intrinsics.tolist(),
            "global_from_cam": (pose @ camera.ego_from_cam).tolist(),
        }
    write_raw(task.root / "lidar" / f"{token}.bin", seen.points)
    write_npz(task.root / "labels" / task.scene / f"{token}.npz", labels=seen.class_id, visible=seen.mask_camera)
    entry = {
        "token": token,
        "scene": task.scene,
        "split": task.split,
        "timestamp": task.timestamp,
        "global_from_ego": seen.global_from_ego.tolist(),
        "lidar": f"lidar/{token}.bin",
        "cameras": of_cameras,
    }
    write_json(task.record, entry)


def finish(tasks: list[FrameTask]) -> None:
    """Collect the records in frames.json."""
    write_json(tasks[0].root / "frames.json", [json.loads(task.record.read_text()) for task in tasks], indent=1)


def _rig(task: FrameTask) -> tuple[Camera, ...]:
    return tuple(
        make_camera(task.seed, task.scene, name, values, full, task.image_scale)
        for name, (full, values) in _RIG.items()
    )
