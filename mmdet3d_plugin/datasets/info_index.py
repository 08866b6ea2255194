"""The table of key frames from an info pickle, as published: `bevdetv2-nuscenes_infos_{train,val}.pkl`."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..errors import DataError
from ..geometry.transforms import Poses, pose_matrix
from ..restricted_pickle import load_pickle
from .index import KeyFrameIndex, scene_columns
from .index_cache import cached
from .key_frames import CAMERAS
from .tables import field, read_table

SUFFIX = ".pkl"
_PUBLISHED = "bevdetv2-nuscenes_infos_"
_BELOW_ROOT = re.compile(r"(?:.*/)?((?:samples|sweeps)/.+)", re.DOTALL)


@lru_cache(maxsize=4)
def load_infos(root: Path, version: str, name: str) -> KeyFrameIndex:
    """All key frames of an info pickle (spec/data/formats section 9), as :func:`load_index` gives those of the tables.

    SparseOcc's pickles, `nuscenes_infos_*_sweep.pkl`, know cameras in the global frame only: see
    :attr:`KeyFrameIndex.camera_ego_known`.

    The pickle is read once, by a reader that runs nothing of it, and kept as columns; later starts map these. Paths
    are taken from their last `samples/` or `sweeps/` on, below `root`, whatever they say before. The infos hold no
    image sizes: those of the first key frame are measured, and every image is compared with them when it is read.
    What older converters left out, `lidar_token` and `scene_name`, is taken from the tables where they are installed;
    without them `lidar_token` is empty, and OpenOccupancy labels and point classes cannot be found.

    Args:
        root: absolute folder of the data set.
        version: folder of the tables; not needed if the infos are complete.
        name: the pickle, below `root` or absolute. "bevdetv2-nuscenes_infos_val.pkl" and "val.pkl" are the same.

    Raises:
        DataError: there is no such pickle, it is damaged or refers to something that is no array or container, or an
            info lacks a key.
    """
    path, tables = find_infos(root, name), root / version
    sources = [path, tables / "sample_data.json", tables / "scene.json"]
    index = cached(KeyFrameIndex, root, f"infos-{path.stem}", sources, lambda: _build(path, tables))
    sizes = np.array([_image_size(root / str(file)) for file in index.image_file[0]], dtype=np.int64)
    return dataclasses.replace(index, image_size=np.broadcast_to(sizes, (len(index), *sizes.shape)))


def find_infos(root: Path, name: str) -> Path:
    """The file of an info pickle.

    Args:
        root: absolute folder of the data set.
        name: below it or absolute; what published names start with may be left out.

    Raises:
        DataError: there is none; the message says which there are.
    """
    short = name.removeprefix(_PUBLISHED)
    for candidate in (root / name, root / short, root / f"{_PUBLISHED}{short}"):
        if candidate.is_file():
            return candidate
    raise DataError(
        f"info pickle {root / name} does not exist",
        found=", ".join(sorted(path.name for path in root.glob(f"*{SUFFIX}"))) or f"no *{SUFFIX} in {root}",
        expected=f"{_PUBLISHED}train{SUFFIX} and {_PUBLISHED}val{SUFFIX}, or train{SUFFIX} and val{SUFFIX}",
        fix="copy it there, make it with tools/create_data_bevdet.py, or name a split of the tables instead",
    )


def _build(path: Path, tables: Path) -> KeyFrameIndex:
    content = load_pickle(path)
    infos = content.get("infos") if isinstance(content, dict) else None
    if not isinstance(infos, list) or not infos or not all(isinstance(info, dict) for info in infos):
        raise DataError(
            f"{path} is not an info pickle",
            found=f"a dictionary of {', '.join(map(str, content))}" if isinstance(content, dict) else type(content),
            expected="a dictionary with a list of dictionaries in `infos`",
        )
    try:
        return _assemble(_sorted(infos, path), path, tables)
    except (ValueError, TypeError, AttributeError) as error:
        raise DataError(
            f"{path} holds infos of another format", found=error, expected="those of spec/data/formats section 9"
        ) from error


def _sorted(infos: list[dict], path: Path) -> list[dict]:
    """By scene and then by time, scenes by their first key frame, as the tables are sorted."""
    start: dict[str, int] = {}
    for info in infos:
        scene, time = field(info, "scene_token", path.name), field(info, "timestamp", path.name)
        start[scene] = min(time, start.get(scene, time))
    return sorted(infos, key=lambda info: (start[info["scene_token"]], info["scene_token"], info["timestamp"]))


def _assemble(infos: list[dict], path: Path, tables: Path) -> KeyFrameIndex:
    def column(key: str, records: Sequence[dict] = infos) -> list[Any]:
        return [field(record, key, path.name) for record in records]

    def poses(key: str, records: Sequence[dict] = infos) -> np.ndarray:
        rotation = np.array(column(f"{key}_rotation", records), dtype=np.float64)
        translation = np.array(column(f"{key}_translation", records), dtype=np.float64)
        return pose_matrix(rotation.reshape(-1, 4), translation.reshape(-1, 3))

    cameras = [field(cams, camera, f"{path.name}, `cams`") for cams in column("cams") for camera in CAMERAS]
    shape = (len(infos), len(CAMERAS))
    if "sensor2global_rotation" in cameras[0]:
        ego, mounting = row_vector_poses(cameras, path.name), np.broadcast_to(np.eye(4), (len(cameras), 4, 4))
    else:
        ego, mounting = poses("ego2global", cameras), poses("sensor2ego", cameras)
    order, scene, previous = scene_columns(column("scene_token"))
    lidar_files = [below_root(file, path) for file in column("lidar_path")]
    return KeyFrameIndex(
        scene_names=np.array(_scene_names(infos, order, path, tables)),
        scene_tokens=np.array(order),
        scene=scene,
        token=np.array(column("token")),
        timestamp=np.array(column("timestamp"), dtype=np.int64),
        previous=previous,
        global_from_ego=poses("ego2global"),
        ego_from_lidar=poses("lidar2ego"),
        lidar_token=np.array(_lidar_tokens(infos, lidar_files, tables)),
        lidar_file=np.array(lidar_files),
        camera_global_from_ego=ego.reshape(*shape, 4, 4),
        camera_ego_from_cam=mounting.reshape(*shape, 4, 4),
        intrinsics=np.array(column("cam_intrinsic", cameras), dtype=np.float64).reshape(*shape, 3, 3),
        image_size=np.zeros((*shape, 2), dtype=np.int64),  # not in the infos, see `load_infos`
        image_file=np.array([below_root(file, path) for file in column("data_path", cameras)]).reshape(shape),
    )


def row_vector_poses(cameras: Sequence[dict], source: str) -> Poses:
    """Poses of cameras that are stored for row vectors, p_global = p_cam @ rotation + translation.

    Args:
        cameras: M dicts with `sensor2global_rotation` [3, 3] and `sensor2global_translation` [3], metres.
        source: what holds them, for the message.

    Returns:
        [M, 4, 4] float64 global_from_cam, for column vectors.

    Raises:
        DataError: a key is missing.
    """
    matrices = np.tile(np.eye(4), (len(cameras), 1, 1))
    for matrix, camera in zip(matrices, cameras):
        matrix[:3, :3] = np.asarray(field(camera, "sensor2global_rotation", source), dtype=np.float64).T
        matrix[:3, 3] = field(camera, "sensor2global_translation", source)
    return matrices


def below_root(stored: str, source: str | Path) -> str:
    """The part of a stored path that is below the root of the data set: its last `samples/` or `sweeps/` and the rest.

    Args:
        stored: path in an info, relative to any folder or absolute, of any system.
        source: what holds it, for the message.

    Raises:
        DataError: there is no such part, or it leads out of the root.
    """
    match = _BELOW_ROOT.fullmatch(stored.replace("\\", "/"))
    if match is None or ".." in match[1].split("/"):
        raise DataError(f"{source} names a file outside of the data set", found=stored, expected=".../samples/...")
    return match[1]


def _scene_names(infos: list[dict], order: list[str], path: Path, tables: Path) -> list[str]:
    names = {info["scene_token"]: info["scene_name"] for info in infos if "scene_name" in info}
    if len(names) < len(order) and (tables / "scene.json").is_file():
        known = {field(r, "token", "scene"): field(r, "name", "scene") for r in read_table(tables, "scene")}
        names = {**known, **names}
    missing = [token for token in order if token not in names]
    if missing:
        raise DataError(
            f"an info of {path} lacks `scene_name`",
            found=f"{len(missing)} scenes without name, first {missing[0]!r}; no {tables / 'scene.json'} that has it",
            fix="install the tables, or write the pickle again: tools/create_data_bevdet.py",
        )
    return [names[token] for token in order]


def _lidar_tokens(infos: list[dict], files: list[str], tables: Path) -> list[str]:
    tokens = [info.get("lidar_token", "") for info in infos]
    if all(tokens) or not (tables / "sample_data.json").is_file():
        return tokens
    wanted = {file for file, token in zip(files, tokens) if not token}
    known = {r["filename"]: r["token"] for r in read_table(tables, "sample_data") if r.get("filename") in wanted}
    return [token or known.get(file, "") for file, token in zip(files, tokens)]


def _image_size(path: Path) -> tuple[int, int]:
    try:
        with Image.open(path) as image:
            return image.size
    except OSError as error:
        raise DataError(
            f"image {path} cannot be read, and info pickles do not say how large images are",
            found=error,
            fix="unpack the images of the data set completely",
        ) from error
