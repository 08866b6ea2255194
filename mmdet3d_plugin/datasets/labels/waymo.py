"""Occ3D-Waymo labels (spec/data/waymo section 2)."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np

from ...errors import DataError
from ...registry import TRANSFORMS
from ...structures import IGNORE, OCC3D_WAYMO, VoxelGrid
from ..files import read_npz
from .base import KeyFrameName, LabelSet, LabelVolume, require_choice
from .occ3d import EGO_GRID

SPLIT_FOLDERS = {"train": "training", "val": "validation"}
_FOLDER_OF_DIGIT = dict(enumerate(SPLIT_FOLDERS.values()))
(_FREE_ON_DISK, _FREE) = OCC3D_WAYMO.disk_ids[0]


@TRANSFORMS.register_module()
class Occ3DWaymoLabels(LabelSet):
    """`<folder>/{training,validation}/SSS/FFF_04.npz` of the frame PSSSFFF, in the frame of the vehicle.

    Voxels that no camera sees, by `final_voxel_state` or by `infov`, are neither trained nor inside the camera mask.

    Args:
        grid: grid of the config; must be that of the files.
        folder: folder below the root.
        mask: voxels that are trained: "camera" only those that a camera sees, "none" all.
    """

    space = OCC3D_WAYMO
    native_grid = EGO_GRID

    def __init__(self, grid: VoxelGrid | dict, folder: str = "gts", mask: Literal["camera", "none"] = "camera"):
        super().__init__(grid, folder)
        self.mask = require_choice("Occ3DWaymoLabels.mask", mask, ("camera", "none"))

    def paths(self, root: Path, name: KeyFrameName) -> tuple[Path, ...]:
        digits = name.token
        split = _FOLDER_OF_DIGIT[int(digits[0])]
        return (root / self.folder / split / digits[1:4] / f"{digits[4:7]}_04.npz",)

    def load(self, root: Path, name: KeyFrameName, training: bool) -> LabelVolume:
        (path,) = self.paths(root, name)
        arrays = read_npz(path, ("voxel_label", "origin_voxel_state", "final_voxel_state", "infov"))
        occupancy = self.class_ids(self.volume(_one_free_class(arrays["voxel_label"], path), path), path)
        lidar, camera, infov = (
            self.volume(arrays[key], path).astype(bool) for key in ("origin_voxel_state", "final_voxel_state", "infov")
        )
        camera &= infov
        if not training:
            return LabelVolume(occupancy, camera, lidar)
        if self.mask == "camera":
            occupancy[~camera] = IGNORE
        return LabelVolume(occupancy)


def _one_free_class(labels: np.ndarray, path: Path) -> np.ndarray:
    """Labels with the free id of this package; copies of the data set that have it on disk already are in circulation.

    Raises:
        DataError: a file uses both ids, so that one of them is no free space.
    """
    on_disk = labels == _FREE_ON_DISK
    if on_disk.any() and (labels == _FREE).any():
        raise DataError(
            f"{path} holds two labels of free space",
            found=f"{_FREE_ON_DISK} and {_FREE}",
            expected=f"{_FREE_ON_DISK}, as published, or {_FREE}, as in copies where it was replaced",
        )
    return np.where(on_disk, _FREE, labels)
