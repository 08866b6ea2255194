"""Labels stored as rows of non-empty voxels in the lidar frame (spec/data/formats sections 5 and 6)."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from ...errors import DataError
from ...registry import TRANSFORMS
from ...structures import IGNORE, OPENOCCUPANCY, SURROUNDOCC, VoxelGrid
from ..files import read_npy
from .base import KeyFrameName, LabelFrame, LabelSet, LabelVolume, grid_points, require_choice

Noise = Literal["ignore", "free"]


class _SparseLabels(LabelSet):
    """Common part: rows of indices and, in the last column, a label; voxels without a row are free.

    Of several rows of a voxel the last one counts (spec/metrics section 3.1).

    Args:
        grid: grid of the config; must be that of the files.
        folder: folder below the root.
        noise: what label 0 means: "ignore" as the data sets' authors define it, "free" as published here
            (spec/data/defects F8).
        motion_frame: frame of `prev_from_ego`: "lidar" like the volume, or "ego" as published (spec/99 A12).
    """

    frame = "lidar"
    noise_class = "others"
    columns: ClassVar[tuple[int, int, int]]

    def __init__(
        self, grid: VoxelGrid | dict, folder: str, noise: Noise = "ignore", motion_frame: LabelFrame = "lidar"
    ):
        super().__init__(grid, folder)
        self.noise = require_choice(f"{type(self).__name__}.noise", noise, ("ignore", "free"))
        self.motion_frame = require_choice(f"{type(self).__name__}.motion_frame", motion_frame, ("ego", "lidar"))

    def load(self, root: Path, name: KeyFrameName, training: bool) -> LabelVolume:
        (path,) = self.paths(root, name)
        rows = read_npy(path)
        if rows.ndim != 2 or rows.shape[1] < 4:
            raise DataError(f"{path} is not a list of voxels", found=rows.shape, expected="(N, 4)")
        labels = self.class_ids(rows[:, -1], path)
        labels = np.where(labels == 0, IGNORE if self.noise == "ignore" else self.space.free, labels).astype(np.uint8)
        indices = grid_points(self.grid, rows[:, list(self.columns)].astype(np.int64), path)
        dense = np.full(self.grid.shape, self.space.free, dtype=np.uint8)
        self.scatter(dense, indices, labels)
        return LabelVolume(self.volume(dense, path))

    def scatter(self, dense: np.ndarray, indices: tuple[np.ndarray, ...], labels: np.ndarray) -> None:
        """Write rows into a volume, in place.

        Args:
            dense: [X, Y, Z] labels.
            indices: x, y and z of every row, [N] each.
            labels: [N] labels of the rows.
        """
        dense[indices] = labels


@TRANSFORMS.register_module()
class SurroundOccLabels(_SparseLabels):
    """`<folder>/samples/<lidar file name>.npy`, rows (x, y, z, label), 0.5 m."""

    space = SURROUNDOCC
    native_grid = VoxelGrid((-50.0, -50.0, -5.0), (50.0, 50.0, 3.0), (200, 200, 16))
    columns = (0, 1, 2)

    def __init__(
        self,
        grid: VoxelGrid | dict,
        folder: str = "gts_surroundocc",
        noise: Noise = "ignore",
        motion_frame: LabelFrame = "lidar",
    ):
        super().__init__(grid, folder, noise, motion_frame)

    def paths(self, root: Path, name: KeyFrameName) -> tuple[Path, ...]:
        return (root / self.folder / "samples" / f"{Path(name.lidar_file).name}.npy",)


@TRANSFORMS.register_module()
class OpenOccupancyLabels(_SparseLabels):
    """`<folder>/scene_<scene token>/occupancy/<lidar token>.npy`, rows (z, y, x, label) of v0.1 or
    (z, y, x, v_x, v_y, v_z, label) of v0.0, 0.2 m.

    Of several rows of a voxel the most frequent label counts, the lowest id where two are as frequent; noise has the
    highest id (spec/metrics section 1).
    """

    space = OPENOCCUPANCY
    native_grid = VoxelGrid((-51.2, -51.2, -5.0), (51.2, 51.2, 3.0), (512, 512, 40))
    columns = (2, 1, 0)

    def __init__(
        self,
        grid: VoxelGrid | dict,
        folder: str = "nuScenes-Occupancy-v0.1",
        noise: Noise = "ignore",
        motion_frame: LabelFrame = "lidar",
    ):
        super().__init__(grid, folder, noise, motion_frame)

    def paths(self, root: Path, name: KeyFrameName) -> tuple[Path, ...]:
        if not name.lidar_token:
            raise DataError(
                f"OpenOccupancy labels of sample {name.token!r} are named after a lidar token that its info lacks",
                fix="install the tables of the version, or write the info pickle again: tools/create_data_bevdet.py",
            )
        return (root / self.folder / f"scene_{name.scene_token}" / "occupancy" / f"{name.lidar_token}.npy",)

    def scatter(self, dense: np.ndarray, indices: tuple[np.ndarray, ...], labels: np.ndarray) -> None:
        """Write rows into a volume; where rows of a voxel differ they vote."""
        super().scatter(dense, indices, labels)
        overruled = dense[indices] != labels
        if not overruled.any():
            return
        voxel = np.ravel_multi_index(indices, dense.shape)
        contested = np.isin(voxel, voxel[overruled])
        voxels, place = np.unique(voxel[contested], return_inverse=True)
        votes = np.zeros((len(voxels), IGNORE + 1), dtype=np.int64)
        np.add.at(votes, (place, labels[contested]), 1)
        dense.reshape(-1)[voxels] = votes.argmax(axis=1)
