"""What the sensors see between the key frames, written to `sweeps/` (spec/data/synthetic.md section 3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import ConfigError
from .catalog import token
from .files import write_jpeg, write_json, write_raw
from .keyframe import PROGRESS, KeyFrameTask, log_name, world_of
from .presets import KEYFRAME_INTERVAL
from .sensors import LIDAR_CHANNEL, quaternion

LIDAR_SWEEPS = 9
"""Between two key frames: the lidar turns at 20 Hz."""
MOST_CAMERA_SWEEPS = 11


@dataclass(frozen=True)
class SweepTask:
    """The sweeps of all sensors between two key frames.

    Attributes:
        key_frame: that follows them; not the first one of its scene.
        cameras: sweeps of each camera; 5 give the 12 Hz of nuScenes.
    """

    key_frame: KeyFrameTask
    cameras: int

    @property
    def record(self) -> Path:
        """File that says that the sweeps are complete."""
        return self.key_frame.root / PROGRESS / f"{self.key_frame.scene}-{self.key_frame.index:03d}-sweeps.json"


def sweep_tasks(key_frames: Sequence[KeyFrameTask], cameras: int) -> list[SweepTask]:
    """Between all key frames; none where no camera sweeps are asked for.

    Raises:
        ConfigError: a number of sweeps that cannot be made.
    """
    if not 0 <= cameras <= MOST_CAMERA_SWEEPS:
        raise ConfigError(
            "camera sweeps between two key frames of the synthetic world",
            found=cameras,
            expected=f"0 to {MOST_CAMERA_SWEEPS}; 5 give the 12 Hz of nuScenes",
        )
    return [SweepTask(task, cameras) for task in key_frames if cameras and task.index > 0]


def write_sweeps(task: SweepTask) -> None:
    """Write the images and lidar sweeps between two key frames and, last, their record.

    Raises:
        DataError: a file cannot be written.
    """
    frame = task.key_frame
    world = world_of(frame.seed, frame.scene, (frame.keyframes - 1) * KEYFRAME_INTERVAL, frame.image_scale)
    data: dict[str, list[dict[str, Any]]] = {}
    for camera in world.rig.cameras:
        entries = data.setdefault(camera.channel, [])
        for number, before in enumerate(_times(task.cameras)):
            delay = camera.delay - before
            time = frame.time + delay
            ego = world.ego_pose(time)
            entries.append(_entry(frame, camera.channel, number, delay, ego, camera.size, "jpg"))
            noise = (camera.channel, frame.index, "sweep", number)
            view = world.render(time, ego @ camera.ego_from_cam, camera.intrinsics, camera.size, noise_key=noise)
            write_jpeg(frame.root / entries[-1]["filename"], view.rgb)
    entries = data.setdefault(LIDAR_CHANNEL, [])
    for number, before in enumerate(_times(LIDAR_SWEEPS)):
        time = frame.time - before
        ego = world.ego_pose(time)
        entries.append(_entry(frame, LIDAR_CHANNEL, number, -before, ego, (0, 0), "pcd.bin"))
        noise_key = (frame.index, "sweep", number)
        sweep = world.scan(time, ego @ world.rig.ego_from_lidar, noise_key=noise_key, flaws=frame.flaws)
        write_raw(frame.root / entries[-1]["filename"], sweep.points.astype("<f4"))
    write_json(task.record, {"sweeps": data})


def _times(count: int) -> list[float]:
    """Seconds before the key frame, oldest first, at equal distances between the two key frames."""
    return [KEYFRAME_INTERVAL * (count - number) / (count + 1) for number in range(count)]


def _entry(
    frame: KeyFrameTask, channel: str, number: int, delay: float, ego: np.ndarray, size: tuple[int, int], ending: str
) -> dict[str, Any]:
    timestamp = frame.timestamp + round(delay * 1e6)
    return {
        "token": token(frame.seed, frame.scene, channel, frame.index, "sweep", number),
        "timestamp": timestamp,
        "filename": f"sweeps/{channel}/{log_name(frame.scene)}__{channel}__{timestamp}.{ending}",
        "width": size[0],
        "height": size[1],
        "translation": ego[:3, 3].tolist(),
        "rotation": quaternion(ego[:3, :3]),
    }
