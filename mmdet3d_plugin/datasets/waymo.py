"""Occ3D-Waymo: five cameras of two sizes, from the community pickles and extracted images (spec/data/waymo)."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np

from ..errors import ConfigError, DataError, closest
from ..geometry.transforms import Poses, inverse
from ..registry import DATASETS
from .base import Mode, OccDataset
from .checks import find_folder
from .files import image_size, read_points
from .labels.base import KeyFrameName, require_choice
from .labels.waymo import SPLIT_FOLDERS
from .missing import OnMissing
from .waymo_frames import LIDAR_POSITION
from .waymo_index import CAMERAS, IMAGE_FOLDERS, PICKLES, WaymoIndex, load_waymo_index

IMAGES = "kitti_format"
"""Folder of the extracted images and sweeps below the root."""
_LABEL_FOLDERS = ("gts", "gts/voxel04", "voxel04")
_FRONT, _SIDE_RIGHT = CAMERAS.index("FRONT"), CAMERAS.index("SIDE_RIGHT")


@DATASETS.register_module()
class WaymoOccDataset(OccDataset):
    """Frames of a split at 10 Hz, by scene and time; volume and lidar live in the frame of the vehicle.

    The label folder of the config is used if it exists, else what the download calls it (gts/voxel04, voxel04); the
    pickles lie in it or above it.

    Args:
        root, split, labels, image, mode, scene, depth, load_adjacent, sequences_split, on_missing: see
            :class:`OccDataset`; splits are "train" and "val".
        motion: poses between which the vehicle moves: "front" takes FRONT's at both times, "side_right_to_front"
            SIDE_RIGHT's at the previous one, as published (spec/data/defects F10).

    Raises:
        ConfigError: an unknown mode, split, motion or grid.
        DataError: the root, a pickle or label files are missing, or the two pickles list different frames.
    """

    cameras = CAMERAS
    front = _FRONT
    lidar_position = LIDAR_POSITION

    def __init__(
        self,
        root: str,
        split: str,
        labels: dict,
        image: dict,
        mode: Mode = "train",
        scene: dict | None = None,
        depth: dict | None = None,
        load_adjacent: bool = False,
        motion: Literal["front", "side_right_to_front"] = "front",
        sequences_split: int | None = 1,
        on_missing: OnMissing = "error",
    ):
        self.motion = require_choice("WaymoOccDataset.motion", motion, ("front", "side_right_to_front"))
        super().__init__(root, split, labels, image, mode, scene, depth, load_adjacent, sequences_split, on_missing)

    def open(self, root: str, split: str) -> Path:
        """Read the pickles of a split; see :class:`OccDataset`."""
        if split not in SPLIT_FOLDERS:
            raise ConfigError(f"Occ3D-Waymo has no split {split!r}", expected=closest(split, SPLIT_FOLDERS))
        folder = find_folder(root, f"a folder with {IMAGES}/ and gts/")
        present = (
            name for name in (self.labels.folder, *_LABEL_FOLDERS) if (folder / name / SPLIT_FOLDERS[split]).is_dir()
        )
        self.labels.folder = next(present, self.labels.folder)
        candidates = [folder / self.labels.folder, (folder / self.labels.folder).parent, folder, folder / IMAGES]
        found = next((place for place in candidates if all((place / name).is_file() for name in PICKLES[split])), None)
        if found is None:
            raise DataError(
                f"{folder} lacks the pickles of split {split!r}",
                expected=f"{' and '.join(PICKLES[split])} in {candidates[0]}",
                fix="download them from the CVT-Occ project, which publishes them with the Occ3D-Waymo labels",
            )
        self.index: WaymoIndex = load_waymo_index(found, split)
        return folder

    @property
    def tokens(self) -> np.ndarray:
        """[F] "PSSSFFF"."""
        return self.index.token

    @property
    def scene_names(self) -> np.ndarray:
        """[F] "PSSS"."""
        return self.index.scene

    @property
    def timestamps(self) -> np.ndarray:
        """[F] int64 microseconds."""
        return self.index.timestamp

    def image_files(self, index: int) -> list[Path]:
        """The five image files, .png as the pickles say or .jpg as many copies have them."""
        front = str(self.index.image_file[index])
        return [
            _existing(self.root / IMAGES / front.replace("image_0", f"image_{number}", 1)) for number in IMAGE_FOLDERS
        ]

    def image_sizes(self, index: int) -> np.ndarray:
        """[5, 2] (width, height) of the first frame of the scene: no pickle has those of the side cameras."""
        first = int(self.frames_of_scene(index)[0])
        return np.array([_size_of(file) for file in self.image_files(first)])

    def intrinsics(self, index: int) -> np.ndarray:
        """[5, 3, 3]; see :class:`OccDataset`."""
        return self.index.intrinsics[index]

    def global_from_cam(self, index: int) -> Poses:
        """[5, 4, 4]; see :class:`OccDataset`."""
        return self.index.global_from_vehicle[index] @ self.index.vehicle_from_cam[index]

    def global_from_volume(self, index: int) -> Poses:
        """[4, 4] of the vehicle, as FRONT has it."""
        return self.index.global_from_vehicle[index, _FRONT]

    def prev_from_ego(self, index: int) -> Poses:
        """[4, 4] float64 motion since the previous frame of the sequence, metres; identity at a start."""
        if self.streams.starts[index]:
            return np.eye(4)
        before = _FRONT if self.motion == "front" else _SIDE_RIGHT
        return inverse(self.index.global_from_vehicle[index - 1, before]) @ self.global_from_volume(index)

    def label_name(self, index: int) -> KeyFrameName:
        """Names of the frame and its scene."""
        scene, token = str(self.index.scene[index]), str(self.index.token[index])
        return KeyFrameName(scene, scene, token, f"velodyne/{token}.bin", token)

    def points(self, index: int) -> np.ndarray:
        """[P, 6] of all five lidars in the frame of the vehicle, metres."""
        folder = (self.root / IMAGES / str(self.index.image_file[index])).parents[1]
        return read_points(folder / "velodyne" / f"{self.index.token[index]}.bin", columns=6)


def _existing(file: Path) -> Path:
    """The file, or the one with the other ending where only that exists."""
    other = file.with_suffix(".jpg" if file.suffix == ".png" else ".png")
    return other if other.is_file() and not file.is_file() else file


_size_of = lru_cache(maxsize=1 << 14)(image_size)
