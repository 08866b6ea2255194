"""What the community pickles of Occ3D-Waymo say about a split (spec/data/waymo section 3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from scipy.linalg import rq

from ..errors import DataError
from ..geometry.transforms import Poses
from ..restricted_pickle import load_pickle

CAMERAS = ("FRONT", "FRONT_LEFT", "SIDE_LEFT", "FRONT_RIGHT", "SIDE_RIGHT")
"""Order of the pose lists, and of the camera axis, as published. The published code calls the third one front right and
the fourth one side left; image and pose fit together there too."""
IMAGE_FOLDERS = (0, 1, 3, 2, 4)
"""Number of the image folder of each camera: folders are numbered FRONT, FRONT_LEFT, FRONT_RIGHT, SIDE_LEFT, ..."""
PICKLES = {
    "train": ("waymo_infos_train.pkl", "cam_infos.pkl"),
    "val": ("waymo_infos_val.pkl", "cam_infos_vali.pkl"),
}
_INTERVAL = 100_000  # microseconds, where a pickle has no time stamps
_ROUNDING = 1e-6  # of a focal length


@dataclass(frozen=True)
class WaymoIndex:
    """F frames with N = 5 cameras in the order of `CAMERAS`, by scene and time. Poses float64, metres.

    Attributes:
        token: [F] "PSSSFFF": split, scene, frame.
        scene: [F] "PSSS".
        timestamp: [F] int64 microseconds.
        image_file: [F] FRONT's file relative to kitti_format.
        intrinsics: [F, N, 3, 3] pixel_from_cam.
        vehicle_from_cam: [F, N, 4, 4], camera axes right, down, forward.
        global_from_vehicle: [F, N, 4, 4] pose of the vehicle that each camera was given.
    """

    token: np.ndarray
    scene: np.ndarray
    timestamp: np.ndarray
    image_file: np.ndarray
    intrinsics: np.ndarray
    vehicle_from_cam: Poses
    global_from_vehicle: Poses


@lru_cache(maxsize=2)
def load_waymo_index(folder: Path, split: str) -> WaymoIndex:
    """Read both pickles of a split once per process.

    Args:
        folder: where they are.
        split: "train" or "val".

    Raises:
        DataError: a pickle is missing, broken or holds anything but data; or the two list different frames.
    """
    info_file, pose_file = (folder / name for name in PICKLES[split])
    rows = sorted(_row(info, info_file) for info in load_pickle(info_file))
    if not rows:
        raise DataError(f"{info_file} lists no frames")
    number = np.array([row[0] for row in rows], dtype=np.int64)
    frames_of: dict[int, list[int]] = {}
    for value in number.tolist():
        frames_of.setdefault(value % 10**6 // 1000, []).append(value % 1000)
    poses = _children(load_pickle(pose_file), pose_file)
    _require_same_frames(frames_of, poses, info_file, pose_file)
    entries = [
        camera
        for scene, frames in frames_of.items()
        for frame in frames
        for camera in _cameras(_children(poses[scene], pose_file)[frame], scene, frame, pose_file)
    ]
    intrinsics, vehicle_from_cam, global_from_vehicle = (
        _matrices(entries, key, pose_file).reshape(len(rows), len(CAMERAS), 4, 4)
        for key in ("intrinsics", "sensor2ego", "ego2global")
    )
    pixel_from_cam, vehicle_from_cam = _optical(intrinsics, vehicle_from_cam, pose_file)
    token = np.array([f"{value:07d}" for value in number])
    return WaymoIndex(
        token=token,
        scene=np.array([t[:4] for t in token]),
        timestamp=np.array([row[1] for row in rows], dtype=np.int64),
        image_file=np.array([row[2] for row in rows]),
        intrinsics=pixel_from_cam,
        vehicle_from_cam=vehicle_from_cam,
        global_from_vehicle=global_from_vehicle,
    )


def _row(info: Any, file: Path) -> tuple[int, int, str]:
    """(number PSSSFFF, microseconds, file of the front camera) of an entry of the info list."""
    try:
        number, path = int(info["image"]["image_idx"]), str(info["image"]["image_path"])
        return number, int(info.get("timestamp", number % 1000 * _INTERVAL)), path
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise DataError(
            f"an entry of {file} is not that of a frame",
            found=f"{type(error).__name__}: {error}",
            expected="image.image_idx and image.image_path, as written by mmdet3d 1.0",
        ) from error


def _children(node: Any, file: Path) -> dict[int, Any]:
    """Scenes of a pose file, or frames of a scene, by number."""
    if isinstance(node, Mapping):
        return {int(key): value for key, value in node.items()}
    if isinstance(node, (list, tuple)):
        return dict(enumerate(node))
    raise DataError(f"{file} is not a table of camera poses", found=type(node).__name__, expected="[scene][frame][k]")


def _require_same_frames(frames_of: dict[int, list[int]], poses: dict[int, Any], infos: Path, file: Path) -> None:
    for scene in sorted(frames_of.keys() | poses.keys()):
        listed = sorted(frames_of.get(scene, ()))
        posed = sorted(_children(poses[scene], file)) if scene in poses else []
        if listed != posed:
            raise DataError(
                f"{infos} and {file.name} do not list the same frames of scene {scene:03d}",
                found=f"{len(listed)} and {len(posed)} frames",
                expected="the same frames: the two files belong together",
                fix="download both again, from the same source",
            )


def _cameras(node: Any, scene: int, frame: int, file: Path) -> list[Any]:
    cameras = _children(node, file)
    if sorted(cameras) != list(range(len(CAMERAS))):
        raise DataError(
            f"scene {scene:03d}, frame {frame:03d} of {file} has other cameras",
            found=sorted(cameras),
            expected=f"{len(CAMERAS)}: {', '.join(CAMERAS)}",
        )
    return [cameras[k] for k in range(len(CAMERAS))]


def _matrices(entries: list[Any], key: str, file: Path) -> Poses:
    try:
        matrices = np.stack([np.asarray(entry[key], dtype=np.float64) for entry in entries])
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"cameras of {file} lack a matrix {key!r}", found=error, expected="4 x 4") from error
    if matrices.shape[1:] != (4, 4) or not np.isfinite(matrices).all():
        raise DataError(f"{key!r} of {file}", found=matrices.shape[1:], expected="4 x 4, finite")
    return matrices


def _optical(intrinsics: Poses, vehicle_from_sensor: Poses, file: Path) -> tuple[Poses, Poses]:
    """Intrinsics [..., 3, 3] and poses [..., 4, 4] of cameras that look along z.

    Only `intrinsics @ inv(sensor2ego)` is certain. Where the sensor's axes are not right, down, forward, the intrinsics
    hold the turn between them: K_sensor = K_cam R, with an upper triangular K_cam of positive diagonal.
    """
    if np.abs(intrinsics[..., :3, 3]).max() > _ROUNDING:
        raise DataError(f"intrinsics of {file} shift points", expected="a fourth column of zeros")
    pixel_from_cam, vehicle_from_cam = intrinsics[..., :3, :3].copy(), vehicle_from_sensor.copy()
    below = np.abs(pixel_from_cam[..., (1, 2, 2), (0, 0, 1)]).max(axis=-1)
    turned = (below > _ROUNDING * np.abs(pixel_from_cam).max(axis=(-1, -2))) | (pixel_from_cam[..., 2, 2] <= 0)
    for place in zip(*np.nonzero(turned)):
        upper, rotation = rq(pixel_from_cam[place])
        signs = np.sign(np.diag(upper))
        pixel_from_cam[place] = upper * signs
        vehicle_from_cam[place][:3, :3] = vehicle_from_cam[place][:3, :3] @ (signs[:, None] * rotation).T
    return pixel_from_cam / pixel_from_cam[..., 2:, 2:], vehicle_from_cam
