"""Occ3D-nuScenes labels (spec/data/formats section 4)."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from ...registry import TRANSFORMS
from ...structures import IGNORE, OCC3D_NUSCENES, VoxelGrid
from ..files import read_npz
from .base import KeyFrameName, LabelSet, LabelVolume, require_choice

EGO_GRID = VoxelGrid((-40.0, -40.0, -1.0), (40.0, 40.0, 5.4), (200, 200, 16))


@TRANSFORMS.register_module()
class Occ3DLabels(LabelSet):
    """`<folder>/<scene>/<token>/labels.npz` with semantics and visibility masks, ego frame.

    Args:
        grid: grid of the config; must be that of the files.
        folder: folder below the root.
        mask: voxels that are trained: "camera" only those that a camera sees, "none" all.
    """

    space = OCC3D_NUSCENES
    native_grid = EGO_GRID

    def __init__(self, grid: VoxelGrid | dict, folder: str = "gts", mask: Literal["camera", "none"] = "camera"):
        super().__init__(grid, folder)
        self.mask = require_choice("Occ3DLabels.mask", mask, ("camera", "none"))

    def paths(self, root: Path, name: KeyFrameName) -> tuple[Path, ...]:
        return (root / self.folder / name.scene_name / name.token / "labels.npz",)

    def load(self, root: Path, name: KeyFrameName, training: bool) -> LabelVolume:
        (path,) = self.paths(root, name)
        keys = ("semantics", "mask_camera", "mask_lidar")
        if training:  # what is not used is not unpacked
            keys = keys[:2] if self.mask == "camera" else keys[:1]
        arrays = read_npz(path, keys)
        occupancy = self.class_ids(self.volume(arrays["semantics"], path), path)
        masks = [self.volume(arrays[key], path).astype(bool) for key in keys[1:]]
        if not training:
            return LabelVolume(occupancy, *masks)
        for camera in masks:
            occupancy[~camera] = IGNORE
        return LabelVolume(occupancy)
