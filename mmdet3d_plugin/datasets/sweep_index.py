"""Camera images between the key frames of nuScenes, as columns; made only for data sets that ask for them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..errors import DataError
from ..geometry.transforms import Poses, pose_matrix
from ..restricted_pickle import load_pickle
from .index import KeyFrameIndex, load_index
from .index_cache import cached
from .info_index import below_root, find_infos, row_vector_poses
from .key_frames import CAMERAS, TABLES, read_calibrations
from .tables import field, read_table

MOST_SWEEPS = 5
"""Newest sweeps before a key frame that count, as in the published pickles; older ones are left out."""


@dataclass(frozen=True)
class SweepIndex:
    """K sweeps of N = 6 cameras before F key frames.

    Sweep k of a key frame is the image that each camera took k + 1 images before that of the key frame. A camera that
    lost images has fewer of them, so the last sweeps lack it.

    Attributes:
        token: [F] sample tokens, in any order.
        key_time: [F, N] int64 microseconds of the images of the key frames.
        start: [F + 1] int64: the sweeps of key frame f are the rows start[f] to start[f + 1], newest first; at most
            :data:`MOST_SWEEPS`, all younger than the key frame before.
        present: [K, N] bool: the camera has an image. Where it has none, the other columns hold zeros.
        file: [K, N] UTF-8 bytes, relative to the root.
        time: [K, N] int64 microseconds.
        global_from_cam: [K, N, 4, 4] float64 poses of the cameras at these times, metres.
        calibration: [K, N] int32 position in `intrinsics`.
        intrinsics: [C, 3, 3] float64 pixels of the original image.
    """

    token: np.ndarray
    key_time: np.ndarray
    start: np.ndarray
    present: np.ndarray
    file: np.ndarray
    time: np.ndarray
    global_from_cam: Poses
    calibration: np.ndarray
    intrinsics: np.ndarray

    def rows_of(self, tokens: np.ndarray) -> np.ndarray:
        """[M] int64 positions of key frames that are in the index, by their sample tokens [M]."""
        order = np.argsort(self.token)
        return order[np.searchsorted(self.token, tokens, sorter=order)]


@lru_cache(maxsize=4)
def load_sweeps(root: Path, version: str) -> SweepIndex:
    """The camera sweeps of a version, from columns that are made of the tables once and then mapped.

    Args:
        root: absolute folder of the data set.
        version: folder of the tables in it.

    Raises:
        DataError: a table, a field or a referenced record is missing.
    """
    folder = root / version
    tables = [folder / f"{name}.json" for name in TABLES]
    key_frames = load_index(root, version)
    return cached(SweepIndex, root, f"sweeps-{version}", tables, lambda: _from_tables(folder, key_frames))


@lru_cache(maxsize=4)
def load_info_sweeps(root: Path, name: str) -> SweepIndex:
    """The camera sweeps of an info pickle, `nuscenes_infos_{train,val}_sweep.pkl` (spec/data/formats section 9).

    Sweeps without cameras, which are of the lidar, are left out; so the index of another pickle may be empty.

    Args:
        root: absolute folder of the data set.
        name: the pickle, as :func:`load_infos` takes it.

    Raises:
        DataError: there is no such pickle, or it is damaged or of another format.
    """
    path = find_infos(root, name)
    return cached(SweepIndex, root, f"sweeps-{path.stem}", [path], lambda: _from_infos(path))


# --------------------------------------------------------------------------------------------------------- tables


class _Image(NamedTuple):
    """What the table says about one image between key frames."""

    time: int
    file: str
    ego_pose: str
    calibration: str


def _from_tables(folder: Path, key_frames: KeyFrameIndex) -> SweepIndex:
    try:
        return _of_tables(folder, key_frames)
    except (TypeError, ValueError, KeyError, AttributeError, OverflowError) as error:
        raise DataError(
            f"a table in {folder} has a field of another type than nuScenes v1.0",
            found=f"{type(error).__name__}: {error}",
            fix="copy or unpack the metadata archive again",
        ) from error


def _of_tables(folder: Path, key_frames: KeyFrameIndex) -> SweepIndex:
    calibrations, channels = read_calibrations(folder)
    key_time, images = _read_images(folder, key_frames, channels)
    before = [_before(images, key_frames, key_time, row) for row in range(len(key_frames))]
    sweeps = [sweep for of_frame in before for sweep in of_frame]
    chosen = [image for sweep in sweeps for image in sweep if image is not None]
    mountings = [record for token, record in calibrations.items() if channels[token] in CAMERAS]
    numbers = {record["token"]: number for number, record in enumerate(mountings)}
    calibration = np.array([numbers[image.calibration] for image in chosen], dtype=np.int32)
    ego_from_cam = pose_matrix(
        np.array([field(m, "rotation", "calibrated_sensor") for m in mountings], dtype=np.float64).reshape(-1, 4),
        np.array([field(m, "translation", "calibrated_sensor") for m in mountings], dtype=np.float64).reshape(-1, 3),
    )
    return _columns(
        key_frames.token,
        key_time,
        counts=[len(of_frame) for of_frame in before],
        present=np.array([[image is not None for image in sweep] for sweep in sweeps], dtype=bool),
        files=[image.file for image in chosen],
        times=[image.time for image in chosen],
        poses=_ego_poses(folder, [image.ego_pose for image in chosen]) @ ego_from_cam[calibration],
        calibration=calibration,
        intrinsics=[field(m, "camera_intrinsic", "calibrated_sensor") for m in mountings],
    )


def _read_images(
    folder: Path, key_frames: KeyFrameIndex, channels: dict[str, str]
) -> tuple[np.ndarray, dict[tuple[int, int], list[_Image]]]:
    """[F, N] times of the key frames, and what lies between them, by scene and camera, newest first."""
    rows = {str(token): row for row, token in enumerate(key_frames.token)}
    camera_of = {camera: n for n, camera in enumerate(CAMERAS)}
    key_time = np.zeros((len(rows), len(CAMERAS)), dtype=np.int64)
    images: dict[tuple[int, int], list[_Image]] = defaultdict(list)

    def value(record: dict, key: str) -> Any:
        return field(record, key, "sample_data")

    for record in read_table(folder, "sample_data"):
        calibration = value(record, "calibrated_sensor_token")
        camera, row = camera_of.get(channels.get(calibration, "")), rows.get(value(record, "sample_token"))
        if camera is None or row is None:
            continue
        time = value(record, "timestamp")
        if value(record, "is_key_frame"):
            key_time[row, camera] = time
        else:
            image = _Image(time, value(record, "filename"), value(record, "ego_pose_token"), calibration)
            images[int(key_frames.scene[row]), camera].append(image)
    for of_camera in images.values():
        of_camera.sort(key=lambda image: -image.time)
    return key_time, images


def _before(
    images: dict[tuple[int, int], list[_Image]], key_frames: KeyFrameIndex, key_time: np.ndarray, row: int
) -> list[list[_Image | None]]:
    """The sweeps of a key frame: what each camera took after the key frame before and before this one."""
    previous = int(key_frames.previous[row])
    if previous == row:
        return []
    columns = []
    for camera in range(len(CAMERAS)):
        of_camera = images.get((int(key_frames.scene[row]), camera), [])
        newest, oldest = key_time[row, camera], key_time[previous, camera]
        columns.append([image for image in of_camera if oldest < image.time < newest][:MOST_SWEEPS])
    depth = max(map(len, columns))
    return [[column[k] if k < len(column) else None for column in columns] for k in range(depth)]


def _ego_poses(folder: Path, tokens: list[str]) -> Poses:
    """[M, 4, 4] ego poses of records by their tokens."""
    places: dict[str, list[int]] = defaultdict(list)
    for place, token in enumerate(tokens):
        places[token].append(place)
    values = np.full((len(tokens), 7), np.nan)
    for record in read_table(folder, "ego_pose"):
        for place in places.get(field(record, "token", "ego_pose"), ()):
            values[place, :4] = field(record, "rotation", "ego_pose")
            values[place, 4:] = field(record, "translation", "ego_pose")
    missing = np.flatnonzero(np.isnan(values).any(axis=1))
    if len(missing):
        raise DataError(
            f"ego pose {tokens[missing[0]]!r} of a sweep is not in {folder / 'ego_pose.json'}",
            found=f"{len(missing)} missing",
            fix="copy or unpack the metadata archive again",
        )
    return pose_matrix(values[:, :4], values[:, 4:])


# -------------------------------------------------------------------------------------------------------- pickles


def _from_infos(path: Path) -> SweepIndex:
    source = f"{path.name}, `sweeps`"
    try:
        infos = load_pickle(path)["infos"]
        key_time = [[field(info["cams"][c], "timestamp", path.name) for c in CAMERAS] for info in infos]
        before = [_camera_sweeps(field(info, "sweeps", path.name)) for info in infos]
        sweeps = [sweep for of_frame in before for sweep in of_frame]
        chosen = [sweep[camera] for sweep in sweeps for camera in CAMERAS if camera in sweep]
        matrices = np.array([field(image, "cam_intrinsic", source) for image in chosen], dtype=np.float64)
        intrinsics, calibration = np.unique(matrices.reshape(-1, 9), axis=0, return_inverse=True)
        return _columns(
            np.array([field(info, "token", path.name) for info in infos]),
            np.array(key_time, dtype=np.int64),
            counts=[len(of_frame) for of_frame in before],
            present=np.array([[camera in sweep for camera in CAMERAS] for sweep in sweeps], dtype=bool),
            files=[below_root(field(image, "data_path", source), path) for image in chosen],
            times=[field(image, "timestamp", source) for image in chosen],
            poses=row_vector_poses(chosen, source),
            calibration=calibration.reshape(-1),
            intrinsics=intrinsics.reshape(-1, 3, 3),
        )
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise DataError(
            f"{path} holds sweeps of another format",
            found=f"{type(error).__name__}: {error}",
            expected="those of spec/data/formats section 9",
            fix="write it again: tools/create_data_sweeps.py",
        ) from error


def _camera_sweeps(sweeps: Sequence[dict]) -> list[dict]:
    return [sweep for sweep in sweeps if any(camera in sweep for camera in CAMERAS)][:MOST_SWEEPS]


# -------------------------------------------------------------------------------------------------------- columns


def _columns(
    token: np.ndarray,
    key_time: np.ndarray,
    *,
    counts: Sequence[int],
    present: np.ndarray,
    files: Sequence[str],
    times: Sequence[int],
    poses: Poses,
    calibration: np.ndarray,
    intrinsics: Any,
) -> SweepIndex:
    """Spread what is known of the images that are there, by sweep and camera, over the columns."""
    present = present.reshape(-1, len(CAMERAS))
    names = np.array([file.encode() for file in files], dtype=np.bytes_)

    def spread(values: Any, kind: Any) -> np.ndarray:
        values = np.asarray(values, dtype=kind)
        column = np.zeros((*present.shape, *values.shape[1:]), dtype=kind)
        column[present] = values
        return column

    return SweepIndex(
        token=token,
        key_time=key_time,
        start=np.r_[0, np.cumsum(counts)].astype(np.int64),
        present=present,
        file=spread(names, names.dtype if len(names) else "S1"),
        time=spread(times, np.int64),
        global_from_cam=spread(poses, np.float64),
        calibration=spread(calibration, np.int32),
        intrinsics=np.array(intrinsics, dtype=np.float64).reshape(-1, 3, 3),
    )
