"""A street made of boxes, for tests of the viewer: no data set needed."""

from __future__ import annotations

import numpy as np

from mmdet3d_plugin.structures import OCC3D_NUSCENES, VoxelGrid
from mmdet3d_plugin.visualization.views import FrameView, LossCurve, ReportData, ResultTable, SceneView

GRID = VoxelGrid((-40.0, -40.0, -1.0), (40.0, 40.0, 5.4), (200, 200, 16))
CAMERAS = ("FRONT_LEFT", "FRONT", "FRONT_RIGHT", "BACK_LEFT", "BACK", "BACK_RIGHT")


def fill(labels: np.ndarray, lower: tuple, upper: tuple, name: str) -> None:
    """Set the voxels of a box given in metres."""
    cells = []
    for axis in range(3):
        start, size = GRID.lower[axis], GRID.voxel_size[axis]
        a, b = (int(np.floor((v - start) / size + 1e-6)) for v in (lower[axis], upper[axis]))
        cells.append(slice(max(a, 0), max(b, a + 1, 0)))
    labels[cells[2], cells[1], cells[0]] = OCC3D_NUSCENES.index(name)


def street(time: float = 0.0, seed: int = 0) -> np.ndarray:
    """Labels [Z, Y, X] of a street along x; the ego moves 4 m/s, so everything static slides backwards."""
    rng = np.random.default_rng(seed)
    labels = np.full(GRID.zyx, OCC3D_NUSCENES.free, np.uint8)
    fill(labels, (-40, -40, -0.2), (40, 40, 0.1), "terrain")
    fill(labels, (-40, -11, -0.2), (40, 11, 0.1), "sidewalk")
    fill(labels, (-40, -7, -0.2), (40, 7, 0.1), "driveable_surface")
    shift = -4.0 * time
    for side in (-1, 1):
        for k in range(-4, 8):
            x, width, height = 14.0 * k + shift, rng.uniform(7, 12), rng.uniform(3, 5.4)
            near, far = sorted((side * 15.0, side * 26.0))
            fill(labels, (x, near, 0.2), (x + width, far, height), "manmade")
            y = side * 12.2
            fill(labels, (x + 3, y - 0.2, 0.2), (x + 3.4, y + 0.2, 2.2), "vegetation")
            fill(labels, (x + 2, y - 1.2, 2.2), (x + 4.4, y + 1.2, 4.2), "vegetation")
            fill(labels, (x + 8, side * 9.0, 0.2), (x + 8.4, side * 9.0 + 0.4, 1.8), "pedestrian")
    for x, y, speed, size, name in (
        (12, -2, 5.0, (4.4, 1.8, 1.6), "car"), (-18, -2.2, 4.0, (4.4, 1.8, 1.6), "car"),
        (22, 3.5, -6.0, (4.6, 1.9, 1.6), "car"), (30, -5.2, 0.0, (10.5, 2.6, 3.2), "bus"),
        (-8, 3.4, -3.0, (8.0, 2.5, 3.0), "truck"), (6, 5.8, 0.0, (1.8, 0.7, 1.4), "bicycle"),
    ):  # fmt: skip
        x = x + (speed - 4.0) * time
        fill(labels, (x, y - size[1] / 2, 0.2), (x + size[0], y + size[1] / 2, size[2]), name)
    return labels


def blurred(labels: np.ndarray, seed: int = 0) -> np.ndarray:
    """A prediction that is right in most places: shifted, thinned and mixed up here and there."""
    rng = np.random.default_rng(seed)
    out = labels.copy()
    rough = rng.random((4, 20, 20)).repeat(4, 0).repeat(10, 1).repeat(10, 2)
    out[rough < 0.05] = OCC3D_NUSCENES.free
    out[(rough > 0.95) & (labels == OCC3D_NUSCENES.index("manmade"))] = OCC3D_NUSCENES.index("vegetation")
    grown = np.roll(labels, 1, axis=1)
    edge = (out == OCC3D_NUSCENES.free) & (grown != OCC3D_NUSCENES.free) & (rough > 0.6)
    out[edge] = grown[edge]
    return out


def example(scenes: int = 2, frames: int = 4, images: bool = True) -> ReportData:
    """A complete report."""
    rng = np.random.default_rng(0)
    views = []
    for s in range(scenes):
        list_ = []
        for t in range(frames):
            truth = street(0.5 * t, seed=s)
            mask = np.zeros(GRID.zyx, bool)
            mask[:, 50:150, 40:160] = True
            pictures = [(f"CAM_{name}", gradient(rng, 90 + 20 * i)) for i, name in enumerate(CAMERAS)] if images else []
            list_.append(FrameView(f"{s:02d}{t:02d}" * 8, truth, blurred(truth, t), mask, pictures))
        views.append(SceneView(f"scene-{103 + s:04d}", list_))
    position = np.arange(0, 3000, 4)
    decay = 3.0 * np.exp(-position / 900)
    noisy = {
        name: scale * (decay + 0.4) * rng.lognormal(0, 0.15, len(position))
        for name, scale in (("loss", 1.0), ("loss_occ", 0.6), ("loss_depth", 0.3), ("loss_sem", 0.1))
    }
    rows = {
        "model": {"mIoU@camera": 0.3127, "IoU@camera": 0.614, "RayIoU": 0.287, "mAVE": 0.81},
        "majority label": {"mIoU@camera": 0.12, "IoU@camera": 0.441, "RayIoU": 0.101, "mAVE": float("nan")},
        "other images": {"mIoU@camera": 0.112, "IoU@camera": 0.43, "RayIoU": 0.099},
    }
    protocol = {
        "labels": "Occ3D-nuScenes",
        "mask": "camera",
        "frames": scenes * frames,
        "profile": "corrected",
    }
    curve = LossCurve(position, noisy, "samples")
    table = ResultTable(rows, protocol)
    return ReportData("ALOcc-2D-mini, tiny", OCC3D_NUSCENES, GRID, views, True, curve=curve, results=table)


def gradient(rng: np.random.Generator, tint: int) -> np.ndarray:
    """An image that is not empty: sky above road."""
    image = np.zeros((198, 352, 3), np.uint8)
    image[:99] = (tint // 2, tint, 220)
    image[99:] = (tint, tint, tint)
    image[120:150, 100:180] = rng.integers(0, 255, 3)
    return image
