"""OpenOcc v2 labels with flow (spec/data/formats section 7, pipelines section 5.3)."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np

from ...registry import TRANSFORMS
from ...structures import IGNORE, OPENOCC, VoxelGrid
from ..files import read_npz
from .base import KeyFrameName, LabelSet, LabelVolume, require_choice
from .occ3d import EGO_GRID


@TRANSFORMS.register_module()
class OpenOccLabels(LabelSet):
    """`<folder>/<scene>/<token>/labels.npz` with semantics and flow, ego frame.

    Flow is the velocity over ground of the object that a voxel belongs to, along the axes of the ego frame.
    Voxels of classes that do not move carry no flow label.

    Args:
        grid: grid of the config; must be that of the files.
        folder: folder of the labels below the root.
        mask: voxels that are trained: "rays" only those that an evaluation ray reaches, "none" all.
        ray_mask_folder: folder of the ray masks below the root.
    """

    space = OPENOCC
    native_grid = EGO_GRID

    def __init__(
        self,
        grid: VoxelGrid | dict,
        folder: str = "openocc_v2",
        mask: Literal["rays", "none"] = "rays",
        ray_mask_folder: str = "openocc_v2_ray_mask",
    ):
        super().__init__(grid, folder)
        self.mask = require_choice("OpenOccLabels.mask", mask, ("rays", "none"))
        self.ray_mask_folder = ray_mask_folder

    def paths(self, root: Path, name: KeyFrameName) -> tuple[Path, ...]:
        folders = (self.folder, self.ray_mask_folder) if self.mask == "rays" else (self.folder,)
        return tuple(root / folder / name.scene_name / name.token / "labels.npz" for folder in folders)

    def load(self, root: Path, name: KeyFrameName, training: bool) -> LabelVolume:
        path, *mask_path = self.paths(root, name)
        arrays = read_npz(path, ("semantics", "flow"))
        occupancy = self.class_ids(self.volume(arrays["semantics"], path), path)
        if training and mask_path:
            reached = self.volume(read_npz(mask_path[0], ("ray_mask2",))["ray_mask2"], mask_path[0])
            occupancy[~reached.astype(bool)] = IGNORE
        flow = np.ascontiguousarray(np.moveaxis(self.volume(arrays["flow"], path), -1, 0), dtype=np.float32)
        labelled = np.isin(occupancy, self.space.flow) & np.isfinite(flow).all(axis=0)
        flow[:, ~labelled] = np.inf
        return LabelVolume(occupancy, flow=flow)
