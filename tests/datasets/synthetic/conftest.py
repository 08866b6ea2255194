"""The scenes of the shared tiny world, and what its files say."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from mmdet3d_plugin.datasets.index import CAMERAS, KeyFrameIndex, load_index
from mmdet3d_plugin.datasets.synthetic import World
from mmdet3d_plugin.datasets.synthetic.presets import KEYFRAME_INTERVAL, get_preset
from mmdet3d_plugin.structures import VoxelGrid

OCC3D = VoxelGrid((-40.0, -40.0, -1.0), (40.0, 40.0, 5.4), (200, 200, 16))


@dataclass(frozen=True)
class Written:
    """The tiny data set as a reader sees it, beside the world that it was made of."""

    root: Path
    index: KeyFrameIndex
    worlds: dict[str, World]
    views: dict[tuple[int, str], tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)

    def world(self, frame: int) -> World:
        return self.worlds[str(self.index.scene_names[self.index.scene[frame]])]

    def time(self, frame: int) -> float:
        """Seconds after the first key frame of the scene, from the time stamps of the tables."""
        first = self.index.frames_of(self.index.scene[frame])[0]
        return (self.index.timestamp[frame] - self.index.timestamp[first]) * 1e-6

    def points(self, frame: int) -> np.ndarray:
        """[N, 5] of the lidar file."""
        return np.fromfile(self.root / self.index.lidar_file[frame], "<f4").reshape(-1, 5)

    def point_classes(self, frame: int) -> np.ndarray:
        """[N] lidarseg ids."""
        name = f"{self.index.lidar_token[frame]}_lidarseg.bin"
        return np.fromfile(self.root / "lidarseg" / "v1.0-mini" / name, np.uint8)

    def occ3d(self, frame: int) -> dict[str, np.ndarray]:
        scene, token = self.index.scene_names[self.index.scene[frame]], self.index.token[frame]
        with np.load(self.root / "gts" / scene / token / "labels.npz") as file:
            return dict(file)

    def view(self, frame: int, camera: str) -> tuple[np.ndarray, np.ndarray]:
        """Exact z-depth that the world has behind a written image, at twice its resolution, and the intrinsics.

        The finer raster keeps the rounding to a pixel from mattering on far ground.
        """
        if (frame, camera) not in self.views:
            mounted = next(c for c in self.world(frame).rig.cameras if c.channel == camera)
            time = self.time(frame) + mounted.delay
            intrinsics = self.index.intrinsics[frame, CAMERAS.index(camera)].copy()
            intrinsics[:2, :2] *= 2
            intrinsics[:2, 2] = 2 * (intrinsics[:2, 2] + 0.5) - 0.5
            size = (2 * mounted.size[0], 2 * mounted.size[1])
            pose = self.world(frame).ego_pose(time) @ mounted.ego_from_cam
            self.views[frame, camera] = self.world(frame).see(time, pose, intrinsics, size).depth, intrinsics
        return self.views[frame, camera]


@pytest.fixture(scope="session")
def written(tiny_world: Path) -> Written:
    preset = get_preset("tiny")
    duration = (preset.keyframes - 1) * KEYFRAME_INTERVAL
    scenes = [*preset.splits["train"], *preset.splits["val"]]
    worlds = {s: World(0, s, duration, preset.image_scale) for s in scenes}
    return Written(tiny_world, load_index(tiny_world, "v1.0-mini"), worlds)


def apply(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """A [4, 4] transform on points [N, 3]."""
    return points @ matrix[:3, :3].T + matrix[:3, 3]


def voxel_of(points: np.ndarray, grid: VoxelGrid) -> tuple[np.ndarray, np.ndarray]:
    """Indices [N, 3] of the voxels that hold points, and whether they are inside of the grid [N]."""
    index = np.floor((points - grid.lower) / grid.voxel_size).astype(int)
    return index, np.all((index >= 0) & (index < grid.shape), axis=1)
