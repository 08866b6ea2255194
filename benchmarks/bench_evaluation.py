"""Times our metrics beside the published algorithm, re-implemented here: `python benchmarks/bench_evaluation.py`.

Both run on the same frame, one thread, process time (the machine may be busy), minimum of several repetitions; both
casters are compiled by numba and give equal RayIoU counts. The published way casts one volume at a time, follows every
ray to the end of the volume, keeps its path and two exponentials per cell, and looks for the obstacle afterwards.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable

import numba
import numpy as np
import torch

from mmdet3d_plugin.evaluation import OccupancyEvaluator, lidar_rays
from mmdet3d_plugin.evaluation.miou import voxel_counts
from mmdet3d_plugin.structures import OCC3D_NUSCENES, OccTargets, VoxelGrid

SPACE = OCC3D_NUSCENES
GRID = VoxelGrid((-40.0, -40.0, -1.0), (40.0, 40.0, 5.4), (200, 200, 16))
THRESHOLDS = (1.0, 2.0, 4.0)
VALIDATION_FRAMES = 6019


def street(seed: int) -> np.ndarray:
    """[X, Y, Z] labels: ground, rows of houses and trees along streets, and boxes of every other class."""
    rng = np.random.default_rng(seed)
    labels = np.full(GRID.shape, SPACE.free, np.uint8)
    labels[:, :, 2] = SPACE.index("driveable_surface")
    for side in (0, 125):
        for start in range(0, 200, 25):
            depth = int(rng.integers(45, 85))
            row = slice(side, side + depth) if side == 0 else slice(200 - depth, 200)
            labels[start : start + 21, row, 3:] = SPACE.index("manmade")
    for _ in range(120):
        x, y = rng.integers(5, 190, 2)
        size = rng.integers(1, 11, 2)
        labels[x : x + size[0], y : y + size[1], 3 : 3 + int(rng.integers(2, 8))] = rng.integers(0, SPACE.free)
    labels[20:180, 96:104, 3:8] = SPACE.free  # where the car drives
    return labels


@numba.njit
def cast_published(occupied, origin, ends, out_cell, out_distance):  # type: ignore[no-untyped-def]
    """One volume [X, Y, Z] from one origin; continuous indices in, cell and exit distance (voxels) out."""
    shape, limit = occupied.shape, 1446
    path, distances = np.empty((limit, 3), np.int64), np.empty(limit)
    cell, step, upcoming, delta = np.empty(3, np.int64), np.empty(3, np.int64), np.empty(3), np.empty(3)
    for r in range(len(ends)):
        length = np.sqrt(((ends[r] - origin) ** 2).sum())
        for a in range(3):
            direction = (ends[r, a] - origin[a]) / length
            cell[a], step[a] = int(origin[a]), 1 if direction >= 0 else -1
            upcoming[a] = (cell[a] + (step[a] > 0) - origin[a]) / direction if direction != 0 else 1e308
            delta[a] = step[a] / direction if direction != 0 else 1e308
        count, sigma, expected, before = 0, 0.0, 0.0, 0.0
        for _ in range(1001):
            inside = 0 <= cell[0] < shape[0] and 0 <= cell[1] < shape[1] and 0 <= cell[2] < shape[2]
            if count and not inside:
                break
            x, y, z = upcoming
            axis = (0 if x < z else 2) if x < y else (1 if y < z else 2)
            if inside:
                density = 1.0 if occupied[cell[0], cell[1], cell[2]] else 0.0
                transmitted = np.exp(-sigma)
                sigma += density * (upcoming[axis] - before)
                expected += (transmitted - np.exp(-sigma)) * upcoming[axis]
                path[count], distances[count] = cell, upcoming[axis]
                count += 1
            before = upcoming[axis]
            cell[axis] += step[axis]
            upcoming[axis] += delta[axis]
        last = count - 1
        for i in range(count):
            if occupied[path[i, 0], path[i, 1], path[i, 2]]:
                last = i
                break
        out_cell[r] = path[last]
        out_distance[r] = distances[last] if expected < 1e300 else 0.0


def rays_published(prediction: np.ndarray, truth: np.ndarray, origins: np.ndarray) -> dict[str, np.ndarray]:
    """RayIoU counts of one frame: every origin and volume by itself, tables of all rays, masks per class."""
    rays, edge, tables = lidar_rays().numpy(), float(np.float32(0.4)), ([], [])
    for origin in origins:
        points = ((origin - np.float32(GRID.lower)) / edge).astype(np.float32).astype(np.float64)
        ends = ((origin + rays - np.float32(GRID.lower)) / edge).astype(np.float32).astype(np.float64)
        for volume, table in zip((prediction, truth), tables):
            cell, distance = np.empty((len(rays), 3), np.int64), np.empty(len(rays))
            cast_published(volume != SPACE.free, points, ends, cell, distance)
            labels = volume[cell[:, 0], cell[:, 1], cell[:, 2]]
            table.append(np.stack((labels, distance.astype(np.float32) * np.float32(0.4)), axis=1))
    predicted, true = (np.concatenate(table) for table in tables)
    keep = true[:, 0] != SPACE.free
    predicted, true = predicted[keep], true[keep]
    error = np.abs(predicted[:, 1].astype(np.float32) - true[:, 1].astype(np.float32))
    classes = range(SPACE.num_classes)
    matched = [[((true[:, 0] == c) & (predicted[:, 0] == c) & (error < t)).sum() for c in classes] for t in THRESHOLDS]
    return {
        "rays_truth": np.array([(true[:, 0] == c).sum() for c in classes] + [0]),
        "rays_predicted": np.array([(predicted[:, 0] == c).sum() for c in classes]),
        "rays_matched": np.array(matched),
    }


def voxels_published(prediction: np.ndarray, truth: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Histogram of classes and a second one of occupied and free, both over copies of the masked voxels."""

    def histogram(p: np.ndarray, g: np.ndarray, classes: int) -> np.ndarray:
        valid = (g >= 0) & (g < classes)
        code = classes * g[valid].astype(int) + p[valid].astype(int)
        return np.bincount(code, weights=None, minlength=classes**2)[: classes**2].reshape(classes, classes)

    p, g = prediction[mask], truth[mask]
    histogram((p != SPACE.free).astype(int), (g != SPACE.free).astype(int), 2).astype(np.float32)
    return histogram(p, g, SPACE.num_classes)


def best(function: Callable[[], object], repetitions: int) -> float:
    """Least process time of a call, milliseconds."""
    times = []
    function()
    for _ in range(repetitions):
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
    return 1e3 * min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=10)
    repetitions = parser.parse_args().repetitions
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    truth = street(0)
    prediction = np.where(rng.random(GRID.shape) < 0.02, street(1), truth)
    prediction = np.roll(prediction, 1, axis=0)
    mask = rng.random(GRID.shape) < 0.35
    origins = np.stack((np.linspace(-30, 30, 8), np.zeros(8), np.full(8, 1.8)), axis=1)

    ours_p, ours_g, ours_m = (
        torch.from_numpy(np.ascontiguousarray(v.transpose(2, 1, 0))) for v in (prediction, truth, mask)
    )
    targets = OccTargets(occupancy=ours_g[None], ray_origins=(torch.from_numpy(origins),))
    evaluator = OccupancyEvaluator(SPACE, GRID, ("ray_iou",))

    def rays_ours() -> dict[str, np.ndarray]:
        evaluator.reset()
        evaluator.update(ours_p[None], targets, ["frame"])
        return evaluator.state().counts

    published, ours = rays_published(prediction, truth, origins), rays_ours()
    assert all(np.array_equal(published[name], ours[name]) for name in published), "RayIoU counts differ"
    voxels = voxel_counts(ours_p, ours_g, ours_m, SPACE.num_classes)["voxels"]
    assert np.array_equal(voxels[1][:-1], voxels_published(prediction, truth, mask))

    everything = np.ones_like(mask)
    times = {
        "RayIoU frame, published": best(lambda: rays_published(prediction, truth, origins), max(2, repetitions // 3)),
        "RayIoU frame, ours": best(rays_ours, repetitions),
        "mIoU frame in both masks, published": best(
            lambda: [voxels_published(prediction, truth, m) for m in (mask, everything)], repetitions
        ),
        "mIoU frame in both masks, ours": best(
            lambda: voxel_counts(ours_p, ours_g, ours_m, SPACE.num_classes), repetitions
        ),
    }
    for name, value in times.items():
        minutes = value * VALIDATION_FRAMES / 6e4
        print(f"{name:38s} {value:9.2f} ms   {minutes:6.2f} min for {VALIDATION_FRAMES} frames")
    names = list(times)
    ratios = {
        "RayIoU": times[names[0]] / times[names[1]],
        "mIoU": times[names[2]] / times[names[3]],
    }
    print("ratio: " + ", ".join(f"{name} {value:.1f}" for name, value in ratios.items()))
    print(json.dumps({"ms": times, "ratio": ratios, "torch": torch.__version__, "numba": numba.__version__}))


if __name__ == "__main__":
    main()
