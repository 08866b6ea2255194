"""Writing the info pickles of the published stack: `{tag}_infos_{train,val,test}.pkl` (spec/data/formats section 9)."""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from ..geometry.transforms import Poses, inverse, pose_matrix
from ..parallel import available_cpus, process_pool
from ..restricted_pickle import load_pickle
from .checks import find_root
from .index_cache import fingerprint
from .key_frames import LIDAR, TABLES, KeyFrameRecords, read_key_frames
from .nuscenes_boxes import Boxes, ego_boxes, lidar_boxes, read_boxes
from .splits import split_names, split_scenes
from .synthetic.files import write_atomic
from .tables import field, read_table

_FORMAT = 1  # of the parts that a stopped run leaves
_PROTOCOL = 4  # read by every Python since 3.4
_ANNOTATIONS = ("sample_annotation", "instance", "category")
_CAMERAS = ("CAM_FRONT", "CAM_FRONT_RIGHT", "CAM_FRONT_LEFT", "CAM_BACK", "CAM_BACK_LEFT", "CAM_BACK_RIGHT")


@dataclass(frozen=True)
class _Scene:
    """What is written about one scene.

    Attributes:
        part: file for its infos.
        stored_root: what stored paths start with.
        name: of the scene.
        samples: its records, by time.
        sensors: for each of them and each channel, its sample_data with `sensor` and `ego`, the records of its
            calibration and pose.
        boxes: of these samples; None where the version has no annotations.
        lidarseg: file of point classes for each sweep that has one.
    """

    part: Path
    stored_root: str
    name: str
    samples: list[dict]
    sensors: list[dict[str, dict]]
    boxes: Boxes | None
    lidarseg: dict[str, str]


def create_infos(
    root: str, out_dir: str | Path, tag: str, version: str, workers: int | None = None, progress: bool = True
) -> list[Path]:
    """Write one info pickle for each split of a version: train and val, or test, or those of `splits.json`.

    A run that was stopped goes on with the first scene that is not written; a file appears when it is complete.

    Args:
        root: folder of the data set; stored paths start with it, as it is given.
        out_dir: folder for the files.
        tag: what their names start with: "nuscenes", "bevdetv2-nuscenes".
        version: folder of the tables. v1.0-test has no annotations, and neither have its infos.
        workers: processes; one for each CPU if None. Their number changes no file.
        progress: show a progress bar.

    Returns:
        the files.

    Raises:
        DataError: the data set is incomplete, or a file cannot be written.
    """
    folder = find_root(root, version)
    annotated = version != "v1.0-test"
    sources = [folder / version / f"{name}.json" for name in (*TABLES, *(_ANNOTATIONS if annotated else ()))]
    parts = Path(out_dir) / f".{tag}_infos_{fingerprint([_FORMAT, root, version], sources)}"
    with tqdm(unit="scene", desc=f"{tag}, reading tables", disable=not progress) as bar:
        scenes = _scenes(read_key_frames(folder / version), folder / version, root, parts, annotated)
        todo = [scene for scene in scenes if not scene.part.is_file()]
        bar.reset(len(scenes))
        bar.set_description(tag)
        bar.update(len(scenes) - len(todo))
        count = max(1, min(available_cpus() if workers is None else workers, len(todo)))
        with process_pool(count, "writes infos") as pool:
            for future in as_completed([pool.submit(_write_scene, scene) for scene in todo]):
                future.result()
                bar.update()
    names = [scene.name for scene in scenes]
    files = []
    for split in split_names(folder, version, names):
        chosen = set(split_scenes(folder, version, split, names))
        infos = [info for scene in scenes if scene.name in chosen for info in load_pickle(scene.part)]
        files.append(Path(out_dir) / f"{tag}_infos_{split}.pkl")
        write_pickle({"infos": infos, "metadata": {"version": version}}, files[-1])
    shutil.rmtree(parts)
    return files


def _scenes(tables: KeyFrameRecords, folder: Path, root: str, parts: Path, annotated: bool) -> list[_Scene]:
    rows = {sample["token"]: row for row, sample in enumerate(tables.samples)}
    stamps = np.array([sample["timestamp"] for sample in tables.samples], dtype=np.int64)
    boxes = read_boxes(folder, rows, stamps) if annotated else None
    segments: dict[str, str] = {}
    if (folder / "lidarseg.json").is_file():
        segments = {r["sample_data_token"]: field(r, "filename", "lidarseg") for r in read_table(folder, "lidarseg")}
    names = {scene["token"]: field(scene, "name", "scene") for scene in tables.scenes}
    tokens = np.array([sample["scene_token"] for sample in tables.samples])
    borders = [0, *(np.flatnonzero(tokens[1:] != tokens[:-1]) + 1).tolist(), len(tokens)]
    scenes = []
    for first, end in pairwise(borders):
        sensors = [
            {channel: _joined(tables, tables.data[row, channel]) for channel in (*_CAMERAS, LIDAR)}
            for row in range(first, end)
        ]
        sweeps = [frame[LIDAR]["token"] for frame in sensors]
        name = names[tokens[first]]
        scenes.append(
            _Scene(
                part=parts / f"{name}.pkl",
                stored_root=root.rstrip("/"),
                name=name,
                samples=tables.samples[first:end],
                sensors=sensors,
                boxes=None if boxes is None else boxes.of_rows(first, end),
                lidarseg={token: segments[token] for token in sweeps if token in segments},
            )
        )
    return scenes


def _joined(tables: KeyFrameRecords, record: dict) -> dict:
    return {
        **record,
        "sensor": tables.calibrations[record["calibrated_sensor_token"]],
        "ego": tables.poses[record["ego_pose_token"]],
    }


def _write_scene(scene: _Scene) -> None:
    starts = np.zeros(len(scene.samples) + 1, dtype=np.int64)
    if scene.boxes is not None:
        starts = np.searchsorted(scene.boxes.row, np.arange(len(scene.samples) + 1))
    infos = []
    for position, sample in enumerate(scene.samples):
        info = _info(scene, sample, scene.sensors[position])
        if scene.boxes is not None:
            chosen = slice(int(starts[position]), int(starts[position + 1]))
            sensors = scene.sensors[position]
            info.update(lidar_boxes(scene.boxes, chosen, _global_from_sensor(sensors[LIDAR])))
            info["ann_infos"] = ego_boxes(scene.boxes, chosen, _pose(sensors["CAM_FRONT"]["ego"], "ego_pose"))
        infos.append(info)
    write_pickle(infos, scene.part)


def _info(scene: _Scene, sample: dict, sensors: dict[str, dict]) -> dict[str, Any]:
    lidar = sensors[LIDAR]
    lidar_from_global = inverse(_global_from_sensor(lidar))
    info = {
        "token": sample["token"],
        "prev": field(sample, "prev", "sample"),
        "timestamp": sample["timestamp"],
        "scene_token": sample["scene_token"],
        "scene_name": scene.name,
        "occ_path": f"{scene.stored_root}/gts/{scene.name}/{sample['token']}",
        "lidar_path": f"{scene.stored_root}/{field(lidar, 'filename', 'sample_data')}",
        "lidar_token": lidar["token"],
        "sweeps": [],
        **_transforms(lidar, "lidar2ego"),
        "cams": {camera: _camera(scene.stored_root, camera, sensors[camera], lidar_from_global) for camera in _CAMERAS},
    }
    if lidar["token"] in scene.lidarseg:
        info["lidarseg_filename"] = f"{scene.stored_root}/{scene.lidarseg[lidar['token']]}"
    return info


def _camera(stored_root: str, camera: str, record: dict, lidar_from_global: Poses) -> dict[str, Any]:
    lidar_from_cam = lidar_from_global @ _global_from_sensor(record)
    return {
        "data_path": f"{stored_root}/{field(record, 'filename', 'sample_data')}",
        "type": camera,
        "sample_data_token": record["token"],
        **_transforms(record, "sensor2ego"),
        "timestamp": field(record, "timestamp", "sample_data"),
        "sensor2lidar_rotation": lidar_from_cam[:3, :3].copy(),
        "sensor2lidar_translation": lidar_from_cam[:3, 3].copy(),
        "cam_intrinsic": np.array(field(record["sensor"], "camera_intrinsic", "calibrated_sensor"), dtype=np.float64),
    }


def _transforms(record: dict, name: str) -> dict[str, list[float]]:
    tables = ((name, record["sensor"], "calibrated_sensor"), ("ego2global", record["ego"], "ego_pose"))
    return {
        f"{prefix}_{part}": field(source, part, table)
        for prefix, source, table in tables
        for part in ("translation", "rotation")
    }


def _pose(record: dict, table: str) -> Poses:
    return pose_matrix(field(record, "rotation", table), field(record, "translation", table))


def _global_from_sensor(record: dict) -> Poses:
    return _pose(record["ego"], "ego_pose") @ _pose(record["sensor"], "calibrated_sensor")


def write_pickle(content: dict | Sequence[dict], path: Path) -> None:
    """Write infos so that numpy 1 reads them as well; the file appears when it is complete.

    Raises:
        DataError: it cannot be written.
    """
    write_atomic(path, lambda file: _Pickler(file, _PROTOCOL).dump(content))


class _Pickler(pickle.Pickler):
    """Refers to arrays by names that numpy 1 has as well; numpy 2 would write `numpy._core`."""

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, np.ndarray):
            return np.ndarray, ((0,), "b"), value.__reduce__()[2]
        return NotImplemented
