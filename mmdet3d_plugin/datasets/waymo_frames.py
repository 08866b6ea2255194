"""The frames of Occ3D-Waymo as its label folders list them (spec/data/waymo sections 1 and 2)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from ..errors import ConfigError, DataError, closest
from ..evaluation.origins import scene_origins
from .files import read_npz
from .labels import KeyFrameName, Occ3DWaymoLabels
from .labels.waymo import SPLIT_FOLDERS

LIDAR_POSITION = (1.43, 0.0, 2.18)
"""Where evaluation rays start, metres in the frame of the vehicle: its roof lidar, whose points the labels come from.
The data set has all points in the frame of the vehicle and does not say; the published code starts on the ground below
the rear axle (spec/metrics, defects D2), where no sensor is."""


@dataclass(frozen=True)
class WaymoFrames:
    """F frames of a split, by scene and then by time; a frame is called PSSSFFF (split, scene, frame).

    Attributes:
        root: folder of the data set.
        labels: reader of the label files.
        scene_names: [S] "PSSS".
        scene: [F] position in `scene_names`.
        token: [F] "PSSSFFF".
    """

    root: Path
    labels: Occ3DWaymoLabels
    scene_names: np.ndarray
    scene: np.ndarray
    token: np.ndarray

    @classmethod
    def of_split(cls, root: Path, labels: Occ3DWaymoLabels, split: str) -> WaymoFrames:
        """List the frames of a split.

        Args:
            root: folder of the data set.
            labels: reader of the label files.
            split: "train" or "val".

        Raises:
            ConfigError: there is no such split.
            DataError: its label folder is missing or empty.
        """
        if split not in SPLIT_FOLDERS:
            raise ConfigError(f"Occ3D-Waymo has no split {split!r}", expected=closest(split, SPLIT_FOLDERS))
        folder = root / labels.folder / SPLIT_FOLDERS[split]
        digit = list(SPLIT_FOLDERS).index(split)
        token = [f"{digit}{path.parent.name}{path.name[:3]}" for path in sorted(folder.glob("???/???_04.npz"))]
        if not token:
            raise DataError(
                f"{folder} holds no Occ3D-Waymo labels",
                found="an empty folder" if folder.is_dir() else "no such folder",
                expected="SSS/FFF_04.npz, for example 000/000_04.npz",
            )
        names, scene = np.unique([t[:4] for t in token], return_inverse=True)
        return cls(root, labels, names, scene, np.array(token))

    def __len__(self) -> int:
        return len(self.token)

    def frames_of(self, scene: int) -> np.ndarray:
        """Positions of the frames of a scene, by time."""
        return np.flatnonzero(self.scene == scene)

    def name(self, row: int) -> KeyFrameName:
        """What the label files of a frame are named after."""
        token, scene = str(self.token[row]), str(self.scene_names[self.scene[row]])
        return KeyFrameName(scene, scene, token, f"velodyne/{token}.bin", token)

    def ray_origins(self, row: int) -> np.ndarray:
        """[K, 3] float64 origins of the evaluation rays of a frame, metres, frame of the vehicle.

        As on nuScenes: where the lidar was in the course of the scene, see `lidar_origins`.
        """
        frames = self.frames_of(int(self.scene[row]))
        paths = tuple(self.labels.paths(self.root, self.name(int(i)))[0] for i in frames)
        poses = _vehicle_poses(paths)
        mounts = np.tile(np.eye(4), (len(poses), 1, 1))
        mounts[:, :3, 3] = LIDAR_POSITION
        return scene_origins(poses, mounts)[row - int(frames[0])]


@lru_cache(maxsize=2)
def _vehicle_poses(paths: tuple[Path, ...]) -> np.ndarray:
    """[F, 4, 4] float64 vehicle to global; scenes are scored one after the other, so that few are remembered."""
    poses = []
    for path in paths:
        pose = read_npz(path, ("ego2global",))["ego2global"]
        if pose.shape != (4, 4):
            raise DataError(f"ego2global in {path}", found=pose.shape, expected="4 x 4")
        poses.append(pose)
    return np.array(poses, dtype=np.float64)
