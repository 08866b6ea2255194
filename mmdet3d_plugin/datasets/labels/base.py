"""What every annotation of voxels offers to the data set."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from ...errors import ConfigError, DataError
from ...structures import IGNORE, LabelSpace, VoxelGrid

LabelFrame = Literal["ego", "lidar"]


class KeyFrameName(NamedTuple):
    """What the files of one key frame are named after."""

    scene_name: str
    scene_token: str
    token: str
    lidar_file: str
    lidar_token: str


@dataclass
class LabelVolume:
    """Labels of one key frame, in the memory order of the package.

    Attributes:
        occupancy: [Z, Y, X] uint8 label ids, 255 = ignored.
        mask_camera, mask_lidar: [Z, Y, X] bool, True = observed; None where the annotation has none.
        flow: [2, Z, Y, X] float32 (v_x, v_y) in m/s, inf = no label; None where the annotation has none.
    """

    occupancy: np.ndarray
    mask_camera: np.ndarray | None = None
    mask_lidar: np.ndarray | None = None
    flow: np.ndarray | None = None


class LabelSet(ABC):
    """One annotation on disk: where its files are, on which grid, in which frame.

    Args:
        grid: the grid that the model is trained on, or its config.
        folder: folder of the label files, relative to the root of the data set.

    Attributes:
        space: meaning of the labels.
        native_grid: grid of the files; the configured grid must be the same.
        frame: "ego" (at the time of the lidar sweep) or "lidar".
        motion_frame: frame in which `prev_from_ego` is expressed.
        noise_class: class whose id the files give to voxels without a label, so that no voxel ever has this class.

    Raises:
        ConfigError: the configured grid is not the one of the files.
    """

    space: LabelSpace
    native_grid: VoxelGrid
    frame: LabelFrame = "ego"
    motion_frame: LabelFrame = "ego"
    noise_class: str | None = None

    def __init__(self, grid: VoxelGrid | dict, folder: str):
        self.grid = VoxelGrid.from_config(grid)
        self.grid.require_match(self.native_grid, "the config", f"the {self.space.name} labels")
        self.folder = folder

    @abstractmethod
    def paths(self, root: Path, name: KeyFrameName) -> tuple[Path, ...]:
        """Files of a key frame."""

    @abstractmethod
    def load(self, root: Path, name: KeyFrameName, training: bool) -> LabelVolume:
        """Read the labels of a key frame.

        Args:
            root: folder of the data set.
            name: the key frame.
            training: voxels outside of the training mask become 255, and masks for evaluation are left out.

        Raises:
            DataError: a file is missing, truncated, or not on the grid.
        """

    def volume(self, array: np.ndarray, path: Path) -> np.ndarray:
        """An [X, Y, Z, ...] array of a file as [Z, Y, X, ...]; no other code changes the order of axes.

        Raises:
            DataError: the array has another shape than the grid.
        """
        if array.shape[:3] != self.grid.shape:
            raise DataError(
                f"{path} is not on the grid of {self.space.name}",
                found=array.shape,
                expected=(*self.grid.shape, "..."),
            )
        return np.ascontiguousarray(array.swapaxes(0, 2))

    def class_ids(self, array: np.ndarray, path: Path) -> np.ndarray:
        """Label ids as uint8.

        Raises:
            DataError: a label is no id of the label space and not 255.
        """
        low, high = (int(array.min()), int(array[array != IGNORE].max(initial=0))) if array.size else (0, 0)
        if low < 0 or high >= self.space.num_classes:
            raise DataError(
                f"{path} holds a label that {self.space.name} does not have",
                found=low if low < 0 else high,
                expected=f"0 to {self.space.num_classes - 1}, or {IGNORE}",
            )
        return array.astype(np.uint8, copy=False)


def grid_points(grid: VoxelGrid, rows: np.ndarray, path: Path) -> tuple[np.ndarray, ...]:
    """Check rows (x, y, z) of voxel indices against a grid and return them as one index per axis.

    Raises:
        DataError: an index lies outside of the grid.
    """
    if len(rows) and (rows.min() < 0 or (rows.max(axis=0) >= grid.shape).any()):
        raise DataError(
            f"{path} holds voxels outside of its grid",
            found=tuple(rows.max(axis=0)),
            expected=f"indices below {grid.shape}",
        )
    return tuple(rows.T)


def require_choice(name: str, value: str, choices: tuple[str, ...]) -> str:
    """Raise a ConfigError unless `value` is one of `choices`."""
    if value not in choices:
        raise ConfigError(f"{name} cannot be {value!r}", expected=" or ".join(map(repr, choices)))
    return value
