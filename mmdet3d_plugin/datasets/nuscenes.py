"""nuScenes key frames with occupancy labels, straight from the JSON tables or from published info pickles."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np

from ..errors import ConfigError
from ..geometry.transforms import Poses, inverse
from ..registry import DATASETS
from ..structures import VolumeFrame
from .base import Mode, OccDataset
from .checks import find_folder, find_root
from .files import read_points
from .index import CAMERAS, FRONT, KeyFrameIndex, load_split
from .info_index import SUFFIX as INFO_SUFFIX
from .info_index import load_infos
from .labels.base import KeyFrameName, require_choice
from .labels.lidarseg import PointClasses
from .missing import OnMissing


@DATASETS.register_module()
class NuScenesOccDataset(OccDataset):
    """Key frames of a split, by scene and time.

    Both sources give the same samples; a split of the tables needs no conversion.

    Args:
        root, split, labels, image, mode, scene, depth, load_adjacent, sequences_split, on_missing: see
            :class:`OccDataset`. A split is a name (:func:`split_scenes`), or an info pickle below the root with all
            of its key frames: "bevdetv2-nuscenes_infos_val.pkl" (:func:`load_infos`).
        version: folder of the tables, for example "v1.0-trainval".
        key_frame: where cameras are relative to when labels live in the ego frame: "lidar_ego", the ego frame
            of the labels, or "cam_front_ego", the ego frame at the time of CAM_FRONT, as published
            (spec/data/defects F1).

    Raises:
        ConfigError: an unknown mode, split or grid.
        DataError: the root, version, tables or label files of the split are missing.
    """

    cameras = CAMERAS
    front = FRONT

    def __init__(
        self,
        root: str,
        version: str,
        split: str,
        labels: dict,
        image: dict,
        mode: Mode = "train",
        scene: dict | None = None,
        depth: dict | None = None,
        load_adjacent: bool = False,
        key_frame: Literal["lidar_ego", "cam_front_ego"] = "lidar_ego",
        sequences_split: int | None = 1,
        on_missing: OnMissing = "error",
    ):
        self.version = version
        self.key_frame = require_choice("NuScenesOccDataset.key_frame", key_frame, ("lidar_ego", "cam_front_ego"))
        super().__init__(root, split, labels, image, mode, scene, depth, load_adjacent, sequences_split, on_missing)

    def open(self, root: str, split: str) -> Path:
        """Read the tables; see :class:`OccDataset`."""
        self.index: KeyFrameIndex
        if split.endswith(INFO_SUFFIX):
            folder = find_folder(root, expected=f"a folder with {split}, samples/ and the labels")
            self.index = load_infos(folder, self.version, split)
            self._require_ego_of_cameras(split)
        else:
            folder = find_root(root, self.version)
            self.index = load_split(folder, self.version, split)
        self.point_classes: PointClasses | None = None
        if self.mode == "train" and self.depth is not None and self.depth.semantics:
            self.point_classes = PointClasses(folder, self.version, self.index.lidar_token, self.label_space)
        return folder

    def _require_ego_of_cameras(self, split: str) -> None:
        if self.key_frame == "cam_front_ego" and not self.index.camera_ego_known:
            raise ConfigError(
                f"{split} does not say where the ego vehicle was when CAM_FRONT fired",
                found="key_frame='cam_front_ego', and poses of cameras in the global frame only",
                fix="set key_frame='lidar_ego', or take a split of the tables or bevdetv2-nuscenes_infos_*.pkl",
            )

    @property
    def tokens(self) -> np.ndarray:
        """[F] sample tokens."""
        return self.index.token

    @property
    def scene_names(self) -> np.ndarray:
        """[F] scene of every key frame."""
        return self.index.scene_names[self.index.scene]

    @property
    def timestamps(self) -> np.ndarray:
        """[F] int64 microseconds, of the lidar sweeps."""
        return self.index.timestamp

    def image_files(self, index: int) -> list[Path]:
        """The six image files; see :class:`OccDataset`."""
        return [self.root / str(file) for file in self.index.image_file[index]]

    def image_sizes(self, index: int) -> np.ndarray:
        """[6, 2] (width, height); see :class:`OccDataset`."""
        return self.index.image_size[index]

    def intrinsics(self, index: int) -> np.ndarray:
        """[6, 3, 3]; see :class:`OccDataset`."""
        return self.index.intrinsics[index]

    def global_from_cam(self, index: int) -> Poses:
        """[6, 4, 4]; see :class:`OccDataset`."""
        return self.index.camera_global_from_ego[index] @ self.index.camera_ego_from_cam[index]

    def global_from_volume(self, index: int) -> Poses:
        """[4, 4] of the lidar, or of the ego vehicle at the time of the lidar or, as published, of CAM_FRONT."""
        if self.labels.frame == "lidar":
            return self.global_from_lidar(index)
        if self.key_frame == "lidar_ego":
            return self.index.global_from_ego[index]
        return self.index.camera_global_from_ego[index, FRONT]

    def label_name(self, index: int) -> KeyFrameName:
        """Names of the key frame, its scene and its sweep."""
        return self.index.name(index)

    def points(self, index: int) -> np.ndarray:
        """[P, 5] of LIDAR_TOP; see :class:`OccDataset`."""
        return read_points(self.root / str(self.index.lidar_file[index]))

    def global_from_lidar(self, index: int) -> Poses:
        """[4, 4]; see :class:`OccDataset`."""
        return self.index.global_from_ego[index] @ self.index.ego_from_lidar[index]

    def classes_of_points(self, index: int, count: int) -> np.ndarray | None:
        """[P] uint8 from lidarseg; see :class:`OccDataset`."""
        return None if self.point_classes is None else self.point_classes.load(index, count)

    def ray_origins(self, index: int) -> np.ndarray:
        """[K, 3] where the lidar was in the course of the scene; see :class:`OccDataset`."""
        return self.index.ray_origins(index)

    @property
    def frame(self) -> VolumeFrame:
        """Name of the frame in which the cameras are given."""
        if self.labels.frame == "lidar":
            return "lidar"
        return "ego_lidar_time" if self.key_frame == "lidar_ego" else "ego_cam_front_time"

    def prev_from_ego(self, index: int) -> Poses:
        """[4, 4] float64 motion since the previous key frame of the sequence, metres; identity at a start.

        Between the lidar time stamps, also where cameras are relative to CAM_FRONT's ego frame (published).
        """
        if self.streams.starts[index]:
            return np.eye(4)
        pose = self.global_from_lidar if self.labels.motion_frame == "lidar" else self.index.global_from_ego.__getitem__
        return inverse(pose(index - 1)) @ pose(index)
