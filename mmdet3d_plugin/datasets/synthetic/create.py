"""Making a whole data set: in parallel, resumable, the same bytes for any number of workers."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import as_completed
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from tqdm import tqdm

from ...errors import ConfigError, DataError
from ...parallel import available_cpus, process_pool
from ...structures import OCC3D_NUSCENES
from . import four_cameras, waymo
from .files import write_json
from .keyframe import OCC3D_GRID, PROGRESS, KeyFrameTask, evaluation_rays, write_keyframe
from .labels import ray_mask
from .light import empty_shadow
from .presets import Preset, get_preset
from .scene import World
from .sensors import NO_FLAWS, LidarFlaws, make_rig
from .shading import compile_shading
from .sweeps import SweepTask, sweep_tasks, write_sweeps
from .tables import read_record, write_tables

GENERATOR_VERSION = 1
MARKER = "SYNTHETIC.json"
"""File in the root of a generated data set: no reader can take it for a recording."""
Layout = Literal["nuscenes", "waymo", "four-cameras"]


class _Task(Protocol):
    """One frame to write; `record` exists when it is written."""

    @property
    def record(self) -> Path: ...


def create_world(
    out_dir: str | Path,
    preset: str,
    seed: int = 0,
    workers: int | None = None,
    *,
    layout: Layout = "nuscenes",
    openoccupancy: bool = False,
    sweeps: int = 0,
    flaws: LidarFlaws = NO_FLAWS,
    image_scale: float | None = None,
    progress: bool = True,
) -> Path:
    """Write a synthetic data set.

    A run that was stopped goes on where it ended; a finished data set with the same parameters is left alone.

    Args:
        out_dir: root of the data set.
        preset: "tiny", "small" or "learn".
        seed: of every random choice.
        workers: processes; by default one for each CPU of this process.
        layout: "nuscenes" with the formats of its annotations, "waymo" for Occ3D-Waymo with its community pickles,
            "four-cameras" for the worked example of an own data set.
        openoccupancy: also write OpenOccupancy labels (6 MB for each key frame of nuScenes).
        sweeps: images of each camera between two key frames, for methods with a history of images; 5 give the 12 Hz
            of nuScenes. With any there are also the nine lidar sweeps of 20 Hz. None changes nothing else.
        flaws: of the lidar of the layout of nuScenes; none by default.
        image_scale: size of the images as a share of full size (1600 x 900); by default that of the preset.
        progress: show a progress bar.

    Returns:
        The root.

    Raises:
        ConfigError: a parameter is out of range, or the folder holds a data set made with other parameters.
        DataError: a file cannot be written, or a class does not occur in the training split.
    """
    size, root = get_preset(preset), Path(out_dir)
    scale = size.image_scale if image_scale is None else image_scale
    if not 0.05 <= scale <= 1.0:
        raise ConfigError("image scale of the synthetic world", found=scale, expected="0.05 to 1.0")
    flawed = flaws != NO_FLAWS
    if (openoccupancy or sweeps or flawed) and layout != "nuscenes":
        what = "OpenOccupancy labels" if openoccupancy else "sweeps between key frames" if sweeps else "lidar flaws"
        raise ConfigError(f"{what} belong to the layout of nuScenes", found=f"layout {layout!r}")
    sweep_tasks([], sweeps)  # refuses a wrong number before anything is written
    marker = {
        "synthetic": True,
        "preset": size.name,
        "version": size.version if layout == "nuscenes" else layout,
        "seed": seed,
        "image_scale": scale,
        "openoccupancy": openoccupancy,
        "generator_version": GENERATOR_VERSION,
        **({"sweeps": sweeps} if sweeps else {}),
        **({"lidar": asdict(flaws)} if flawed else {}),
    }
    if _claim(root, marker):
        return root
    if layout == "nuscenes":
        splits = size.splits
        tasks = [
            KeyFrameTask(root, size.version, seed, scene, index, size.keyframes, scale, openoccupancy, flaws)
            for scene in (*splits["train"], *splits["val"])
            for index in range(size.keyframes)
        ]
        _make_nuscenes(size, tasks, sweep_tasks(tasks, sweeps), workers, progress)
    else:
        writer = waymo if layout == "waymo" else four_cameras
        frames = writer.tasks(root, size, seed, scale)
        _write_frames(writer.write_frame, frames, workers, progress)
        writer.finish(frames)
    write_json(root / MARKER, {**marker, "complete": True}, indent=2)
    shutil.rmtree(root / PROGRESS)
    return root


def _make_nuscenes(
    size: Preset, tasks: list[KeyFrameTask], sweeps: list[SweepTask], workers: int | None, progress: bool
) -> None:
    root, seed, scale = tasks[0].root, tasks[0].seed, tasks[0].image_scale
    _write_frames(write_keyframe, tasks, workers, progress)
    if sweeps:
        _write_frames(write_sweeps, sweeps, workers, progress)
    between = {task.key_frame: read_record(task.record) for task in sweeps}
    frames: dict[str, list[dict]] = {task.scene: [] for task in tasks}
    for task in tasks:
        frames[task.scene].append({**read_record(task.record), **between.get(task, {})})
    _check_classes(size, [r for s in size.splits["train"] for r in frames[s]])
    write_tables(root, size.version, seed, {s: make_rig(seed, s, scale) for s in frames}, frames)
    write_json(root / "splits.json", size.splits, indent=2)


def _claim(root: Path, marker: dict) -> bool:
    """Whether the data set is complete already; marks an empty folder as ours."""
    path = root / MARKER
    if path.is_file():
        found = json.loads(path.read_text())
        complete = found.pop("complete", False)
        if found != marker:
            raise ConfigError(
                f"{root} holds a synthetic data set with other parameters",
                found=found,
                expected=marker,
                fix="choose another --out-dir, or delete the folder",
            )
        return complete
    if root.is_dir() and any(root.iterdir()):
        raise ConfigError(
            f"{root} is not empty and not a synthetic data set",
            found=f"no {MARKER} in it",
            fix="choose another --out-dir; generated files are never mixed with other data",
        )
    write_json(path, marker, indent=2)
    return False


def _write_frames(write: Callable[[Any], None], tasks: Sequence[_Task], workers: int | None, progress: bool) -> None:
    """Write the frames that have no record yet."""
    missing = [task for task in tasks if not task.record.is_file()]
    count = max(1, min(available_cpus() if workers is None else workers, len(missing)))
    bar = tqdm(
        total=len(tasks),
        initial=len(tasks) - len(missing),
        unit="frame",
        desc="synthetic world",
        disable=not progress,
        file=sys.stderr,
    )
    with bar:
        for _ in map(write, missing) if count == 1 else _in_parallel(write, missing, count):
            bar.update()


def _in_parallel(write: Callable[[Any], None], tasks: Sequence[_Task], workers: int) -> Iterator[None]:
    """Write key frames in several processes; yields after each of them."""
    evaluation_rays()
    with process_pool(workers, "writes key frames") as pool:
        list(pool.map(_compile, range(2)))
        for future in as_completed([pool.submit(write, task) for task in tasks]):
            yield future.result()


def _compile(part: int) -> None:
    """Compile one half of the kernels and leave it in the cache on disk, while another process does the other half."""
    world = World(0, "scene-0000", 0.0, 0.05)
    if part == 0:
        no_shadow = empty_shadow(np.zeros(2), np.ones(2))
        compile_shading(world.ground, world.light, no_shadow)
        return
    ego, camera = world.ego_pose(0.0), world.rig.cameras[0]
    labels = world.voxelise(0.0, ego, OCC3D_GRID)
    world.scan(0.0, ego @ world.rig.ego_from_lidar)
    ray_mask(labels.occupied, OCC3D_GRID, np.array([[0.0, 0.0, 1.8]]), np.array([[1.0, 0.0, 0.0]]))
    world.see(0.0, ego @ camera.ego_from_cam, camera.intrinsics, (16, 16))


def _check_classes(preset: Preset, train: list[dict]) -> None:
    """Every Occ3D class must occur among the training labels of a preset that is meant for training."""
    counts = np.sum([record["occ3d_voxels"] for record in train], axis=0)
    missing = [name for name, count in zip(OCC3D_NUSCENES.classes, counts) if count == 0]
    if missing and preset.every_class:
        raise DataError(
            f"the training scenes of preset {preset.name!r} lack classes",
            found=", ".join(missing),
            expected="every Occ3D class at least once",
            fix="choose another --seed",
        )
