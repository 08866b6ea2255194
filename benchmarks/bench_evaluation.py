"""Times our metrics beside the published algorithm, re-implemented here: `python benchmarks/bench_evaluation.py`.

Both run on the same frames, one thread, process time (the machine may be busy), minimum of several repetitions; both
casters are compiled by numba and give equal RayIoU counts. The published way casts one volume at a time, follows every
ray to the end of the volume, keeps its path and two exponentials per cell, and looks for the obstacle afterwards.

`--processes 2 4` measures how the work scales instead, `--device cuda` the frames per second of a GPU from volumes that
are on it already. `--labels FOLDER` takes frames of an Occ3D label folder (`<scene>/<token>/labels.npz`) as truth.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numba
import numpy as np
import torch

from mmdet3d_plugin.evaluation import OccupancyEvaluator, cast_rays, lidar_rays
from mmdet3d_plugin.evaluation.miou import voxel_counts
from mmdet3d_plugin.evaluation.ray_iou import cast_frame, ray_counts
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


@dataclass
class Frame:
    """Prediction, truth and camera mask [X, Y, Z], and ray origins [K, 3] in metres."""

    prediction: np.ndarray
    truth: np.ndarray
    mask: np.ndarray
    origins: np.ndarray

    def tensors(self, device: str = "cpu") -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Prediction, truth and mask as [Z, Y, X]."""
        volumes = (self.prediction, self.truth, self.mask)
        prediction, truth, mask = (torch.from_numpy(v.transpose(2, 1, 0).copy()).to(device) for v in volumes)
        return prediction, truth, mask


def make_frames(count: int, labels: Path | None) -> list[Frame]:
    """Streets, or frames of a label folder; the prediction is the truth, moved by a voxel and with wrong labels."""
    truths = [street(seed) for seed in range(count)]
    if labels is not None:
        files = sorted(labels.glob("*/*/labels.npz"))
        truths = [np.load(files[i * len(files) // count])["semantics"] for i in range(count)]
    frames = []
    for seed, truth in enumerate(truths):
        rng = np.random.default_rng(seed)
        prediction = np.where(rng.random(GRID.shape) < 0.02, truths[seed - 1], truth)
        origins = np.stack((np.linspace(-30, 30, 8), np.zeros(8), np.full(8, 1.8)), axis=1)
        frames.append(Frame(np.roll(prediction, 1, axis=0), truth, rng.random(GRID.shape) < 0.35, origins))
    return frames


def score(frame: Frame) -> dict[str, np.ndarray]:
    """RayIoU counts of a frame by our evaluator."""
    evaluator = OccupancyEvaluator(SPACE, GRID, ("ray_iou",))
    prediction, truth, _ = frame.tensors()
    evaluator.update(
        prediction[None],
        OccTargets(occupancy=truth[None], ray_origins=(torch.from_numpy(frame.origins),)),
        ["frame"],
    )
    return evaluator.state().counts


def compare(frames: list[Frame], repetitions: int) -> None:
    """Print our time and that of the published algorithm, mean of the frames."""
    everything = np.ones(GRID.shape, bool)
    times = {"published rays": 0.0, "rays": 0.0, "published voxels": 0.0, "voxels": 0.0}
    for frame in frames:
        published, ours = rays_published(frame.prediction, frame.truth, frame.origins), score(frame)
        assert all(np.array_equal(published[name], ours[name]) for name in published), "RayIoU counts differ"
        prediction, truth, mask = frame.tensors()
        voxels = voxel_counts(prediction, truth, mask, SPACE.num_classes)["voxels"]
        assert np.array_equal(voxels[1][:-1], voxels_published(frame.prediction, frame.truth, frame.mask))
        casts, share = statistics(frame)
        print(f"frame: a ray visits {casts:.0f} cells until its obstacle, {share:.0%} of the rays have one in truth")
        calls: dict[str, Callable[[], object]] = {
            "published rays": partial(rays_published, frame.prediction, frame.truth, frame.origins),
            "rays": partial(score, frame),
            "published voxels": lambda frame=frame: [
                voxels_published(frame.prediction, frame.truth, mask) for mask in (frame.mask, everything)
            ],
            "voxels": partial(voxel_counts, prediction, truth, mask, SPACE.num_classes),
        }
        for name, call in calls.items():
            count = max(2, repetitions // 5) if name == "published rays" else repetitions
            times[name] += best(call, count) / len(frames)
    for name, value in times.items():
        print(
            f"{name:17s} {value:9.2f} ms a frame   {value * VALIDATION_FRAMES / 6e4:6.2f} min for {VALIDATION_FRAMES}"
        )
    ratios = {"RayIoU": times["published rays"] / times["rays"], "mIoU": times["published voxels"] / times["voxels"]}
    print("ratio: " + ", ".join(f"{name} {value:.1f}" for name, value in ratios.items()))
    print(json.dumps({"ms": times, "ratio": ratios, "torch": torch.__version__, "numba": numba.__version__}))


def statistics(frame: Frame) -> tuple[float, float]:
    """Mean number of cells that a ray visits in truth, and share of the rays that meet an obstacle there."""
    _, truth, _ = frame.tensors()
    origins = torch.from_numpy(frame.origins)
    hits = cast_rays((truth != SPACE.free)[None], origins, lidar_rays(), GRID)
    index = hits.cell[0].long()
    cells = torch.stack((index % 200, index // 200 % 200, index // 40000), dim=-1)
    start = ((origins - torch.tensor(GRID.lower)) / 0.4).long()[:, None]
    return float((cells - start).abs().sum(-1).float().mean()) + 1, float(
        (hits.gather(truth, 0) != SPACE.free).float().mean()
    )


def _score_for(seconds: float, seed: int) -> float:
    """Frames per second of one process; called in every process at the same time."""
    torch.set_num_threads(1)
    frame = make_frames(1, None)[0]
    score(frame)
    started, count = time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        score(frame)
        count += 1
    return count / (time.perf_counter() - started)


def scale(processes: list[int], seconds: float = 8.0) -> None:
    """Print frames per second of several numbers of processes, and their share of perfect scaling."""
    single = 0.0
    for count in sorted({1, *processes}):
        with ProcessPoolExecutor(count, mp_context=get_context("spawn")) as pool:
            rate = sum(pool.map(_score_for, [seconds] * count, range(count)))
        single = single or rate
        print(f"{count:3d} processes: {rate:7.1f} frames/s, {rate / (count * single):.2f} of perfect scaling")


def on_device(frames: list[Frame], device: str) -> None:
    """Print how long a device casts and counts the rays of the validation set, volumes being on it already."""
    volumes = [frame.tensors(device)[:2] for frame in frames]
    origins = [torch.from_numpy(frame.origins) for frame in frames]

    def run(count: int) -> dict[str, np.ndarray]:
        total = ray_counts(cast_frame(*volumes[0], origins[0], GRID, SPACE, "published"), SPACE)
        for i in range(1, count):
            rays = cast_frame(*volumes[i % len(volumes)], origins[i % len(volumes)], GRID, SPACE, "published")
            for name, value in ray_counts(rays, SPACE).items():
                total[name] = total[name] + value
        return total

    reference = score(frames[0])
    assert all(np.array_equal(value, reference[name]) for name, value in run(1).items()), "counts of the device differ"
    run(len(volumes))
    started = time.perf_counter()
    run(VALIDATION_FRAMES)
    seconds = time.perf_counter() - started
    name = torch.cuda.get_device_name() if device == "cuda" else device
    print(f"{name}: {VALIDATION_FRAMES} frames in {seconds:.2f} s, {VALIDATION_FRAMES / seconds:.0f} frames/s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=10)
    parser.add_argument("--frames", type=int, default=3, help="different frames")
    parser.add_argument("--labels", type=Path, help="folder of Occ3D labels")
    parser.add_argument("--processes", type=int, nargs="+", help="measure scaling over these numbers of processes")
    parser.add_argument("--device", help="measure rays on this device, for example cuda")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.processes:
        scale(options.processes)
    elif options.device:
        on_device(make_frames(options.frames, options.labels), options.device)
    else:
        compare(make_frames(options.frames, options.labels), options.repetitions)


if __name__ == "__main__":
    main()
