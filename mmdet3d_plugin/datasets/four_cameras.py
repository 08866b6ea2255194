"""The worked example of an own data set: four cameras of unequal sizes, one JSON table. Copy it and change it.

`docs/data.md` explains the contract; `python tools/create_data.py synthetic --layout four-cameras` writes the data.
"""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path

import numpy as np

from ..errors import ConfigError, DataError, closest
from ..geometry.transforms import Poses
from ..registry import DATASETS, TRANSFORMS
from ..structures import IGNORE, LabelSpace, VoxelGrid, register_label_space
from .base import OccDataset
from .checks import find_folder
from .files import read_npz, read_points
from .labels import KeyFrameName, LabelSet, LabelVolume

STREET = register_label_space(
    LabelSpace(
        name="Street",
        classes=("object", "road", "ground", "structure", "vegetation", "vehicle", "person", "free"),
        palette=(
            (255, 120, 50), (255, 0, 255), (75, 0, 75), (230, 230, 250), (0, 175, 0), (0, 150, 245), (255, 0, 0),
            (255, 255, 255),
        ),
        free=7,
        dynamic=(5, 6),
    )
)  # fmt: skip


@TRANSFORMS.register_module()
class StreetLabels(LabelSet):
    """`labels/<scene>/<token>.npz`: `labels` [x, y, z] uint8 and `visible` [x, y, z] bool, ego frame.

    Args:
        grid: grid of the config; must be that of the files.
        folder: folder below the root.
    """

    space = STREET
    native_grid = VoxelGrid((-25.6, -25.6, -1.0), (25.6, 25.6, 5.4), (128, 128, 16))

    def __init__(self, grid: VoxelGrid | dict, folder: str = "labels"):
        super().__init__(grid, folder)

    def paths(self, root: Path, name: KeyFrameName) -> tuple[Path, ...]:
        return (root / self.folder / name.scene_name / f"{name.token}.npz",)

    def load(self, root: Path, name: KeyFrameName, training: bool) -> LabelVolume:
        (path,) = self.paths(root, name)
        arrays = read_npz(path, ("labels", "visible"))
        occupancy = self.class_ids(self.volume(arrays["labels"], path), path)
        visible = self.volume(arrays["visible"], path)
        if not training:
            return LabelVolume(occupancy, mask_camera=visible)
        return LabelVolume(np.where(visible, occupancy, IGNORE).astype(np.uint8))


@DATASETS.register_module()
class FourCameraDataset(OccDataset):
    """`frames.json` holds scene, split, time and pose of every frame, and file and calibration of its cameras."""

    cameras = ("front", "left", "right", "rear")
    lidar_position = (0.94, 0.0, 1.84)

    def open(self, root: str, split: str) -> Path:
        """Read the table; see :class:`OccDataset`."""
        folder = find_folder(root, "a folder with frames.json, images/ and labels/")
        try:
            table = json.loads((folder / "frames.json").read_text())
        except (OSError, ValueError) as error:
            raise DataError(f"{folder / 'frames.json'} cannot be read", found=error) from error
        splits = {frame["split"] for frame in table}
        if split not in splits:
            raise ConfigError(f"{folder} has no split {split!r}", expected=closest(split, splits))
        self.table = sorted(
            (frame for frame in table if frame["split"] == split), key=lambda f: (f["scene"], f["timestamp"])
        )
        return folder

    @cached_property
    def tokens(self) -> np.ndarray:
        return np.array([frame["token"] for frame in self.table])

    @cached_property
    def scene_names(self) -> np.ndarray:
        return np.array([frame["scene"] for frame in self.table])

    @cached_property
    def timestamps(self) -> np.ndarray:
        return np.array([frame["timestamp"] for frame in self.table], dtype=np.int64)

    def _of_cameras(self, index: int, field: str) -> list:
        return [self.table[index]["cameras"][name][field] for name in self.cameras]

    def image_files(self, index: int) -> list[Path]:
        return [self.root / file for file in self._of_cameras(index, "file")]

    def image_sizes(self, index: int) -> np.ndarray:
        return np.array(self._of_cameras(index, "size"))

    def intrinsics(self, index: int) -> np.ndarray:
        return np.array(self._of_cameras(index, "pixel_from_cam"), dtype=np.float64)

    def global_from_cam(self, index: int) -> Poses:
        return np.array(self._of_cameras(index, "global_from_cam"), dtype=np.float64)

    def global_from_volume(self, index: int) -> Poses:
        return np.array(self.table[index]["global_from_ego"], dtype=np.float64)

    def points(self, index: int) -> np.ndarray:
        return read_points(self.root / self.table[index]["lidar"], columns=4)
