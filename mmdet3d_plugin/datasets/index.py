"""The immutable table of all key frames: what the data set knows before it opens an image."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError
from ..evaluation.origins import scene_origins
from ..geometry.transforms import Poses, pose_matrix
from .index_cache import cached
from .key_frames import CAMERAS, LIDAR, TABLES, KeyFrameRecords, read_key_frames
from .labels.base import KeyFrameName
from .splits import split_scenes
from .tables import field

FRONT = CAMERAS.index("CAM_FRONT")


@dataclass(frozen=True)
class KeyFrameIndex:
    """F key frames with N = 6 cameras, by scene and then by time. All poses float64, metres, column vectors.

    Arrays instead of objects: worker processes share the pages, and memory does not grow with reference
    counts.

    Attributes:
        scene_names, scene_tokens: of the S scenes, in the order of their first key frames.
        scene: [F] position in `scene_names`.
        token: [F] sample tokens.
        timestamp: [F] int64 microseconds (of the lidar sweep).
        previous: [F] position of the previous key frame of the same scene; its own position where a scene
            starts.
        global_from_ego: [F, 4, 4] ego pose at the time of the lidar sweep.
        ego_from_lidar: [F, 4, 4] mounting of the lidar.
        lidar_token, lidar_file: [F] sample_data token, and file relative to the root.
        camera_global_from_ego: [F, N, 4, 4] ego pose at the time of each image.
        camera_ego_from_cam: [F, N, 4, 4] mounting of each camera. Where a source gives the product of both only, the
            first is that product and this the identity: `camera_ego_known` is False.
        intrinsics: [F, N, 3, 3] pixels of the original image, integer = pixel centre.
        image_size: [F, N, 2] (width, height) of the original image.
        image_file: [F, N] files relative to the root.
    """

    scene_names: np.ndarray
    scene_tokens: np.ndarray
    scene: np.ndarray
    token: np.ndarray
    timestamp: np.ndarray
    previous: np.ndarray
    global_from_ego: Poses
    ego_from_lidar: Poses
    lidar_token: np.ndarray
    lidar_file: np.ndarray
    camera_global_from_ego: Poses
    camera_ego_from_cam: Poses
    intrinsics: np.ndarray
    image_size: np.ndarray
    image_file: np.ndarray

    def __len__(self) -> int:
        return len(self.token)

    @property
    def camera_ego_known(self) -> bool:
        """Whether the source gives ego poses at the times of the images, not only poses of the cameras."""
        return not bool((self.camera_ego_from_cam == np.eye(4)).all())

    def select(self, scenes: Sequence[str]) -> KeyFrameIndex:
        """The key frames of some scenes, in the order of this index."""
        names = np.asarray(scenes)
        kept = np.isin(self.scene_names, names)
        rows = np.flatnonzero(kept[self.scene])
        renumbered, moved = np.cumsum(kept) - 1, np.empty(len(self), dtype=np.int64)
        moved[rows] = np.arange(len(rows))
        chosen = {
            f.name: getattr(self, f.name)[rows]
            for f in dataclasses.fields(self)
            if f.name not in ("scene_names", "scene_tokens", "scene", "previous")
        }
        return KeyFrameIndex(
            scene_names=self.scene_names[kept],
            scene_tokens=self.scene_tokens[kept],
            scene=renumbered[self.scene[rows]],
            previous=moved[self.previous[rows]],
            **chosen,
        )

    def frames_of(self, scene: int) -> np.ndarray:
        """Positions of the key frames of a scene, by time."""
        first, end = np.searchsorted(self.scene, [scene, scene + 1])
        return np.arange(first, end)

    def name(self, row: int) -> KeyFrameName:
        """What the label files of a key frame are named after."""
        scene = self.scene[row]
        return KeyFrameName(
            str(self.scene_names[scene]),
            str(self.scene_tokens[scene]),
            str(self.token[row]),
            str(self.lidar_file[row]),
            str(self.lidar_token[row]),
        )

    def ray_origins(self, row: int) -> np.ndarray:
        """[K, 3] float64 origins of the evaluation rays of a key frame, metres, see `lidar_origins`."""
        frames = self.frames_of(int(self.scene[row]))
        return scene_origins(self.global_from_ego[frames], self.ego_from_lidar[frames])[row - int(frames[0])]


@lru_cache(maxsize=4)
def load_index(root: Path, version: str) -> KeyFrameIndex:
    """The key frames of a version, from a file of columns that is made of the tables once and then mapped.

    Args:
        root: absolute folder of the data set.
        version: folder of the tables in it.

    Raises:
        DataError: a table, a field, a referenced record or a sensor of a key frame is missing.
    """
    folder = root / version
    tables = [folder / f"{name}.json" for name in TABLES]
    return cached(KeyFrameIndex, root, f"tables-{version}", tables, lambda: _from_tables(folder))


def load_split(root: Path, version: str, split: str) -> KeyFrameIndex:
    """The key frames of a split, see :func:`load_index` and :func:`split_scenes` for arguments and errors."""
    tables = load_index(root, version)
    return tables.select(split_scenes(root, version, split, tables.scene_names.tolist()))


def _from_tables(folder: Path) -> KeyFrameIndex:
    """Read the tables; whatever type a field has, it ends as a DataError or in a column of numbers or text."""
    try:
        index = _assemble(read_key_frames(folder))
    except (TypeError, ValueError, KeyError, AttributeError, OverflowError) as error:
        raise DataError(
            f"a table in {folder} has a field of another type than nuScenes v1.0",
            found=f"{type(error).__name__}: {error}",
            fix="copy or unpack the metadata archive again",
        ) from error
    for column in dataclasses.fields(index):
        values = getattr(index, column.name)
        if values.dtype.kind not in "iufU" or (values.dtype.kind == "f" and not np.isfinite(values).all()):
            raise DataError(
                f"the tables in {folder} give no usable {column.name}",
                found=f"values of type {values.dtype}, or not finite",
                fix="copy or unpack the metadata archive again",
            )
    return index


def scene_columns(tokens: Sequence[str]) -> tuple[list[str], np.ndarray, np.ndarray]:
    """What follows from the scene tokens of key frames that are sorted by scene and time.

    Returns:
        the S tokens in order; [F] int64 position among them; [F] int64 previous key frame of the same scene, its own
        position where a scene starts.
    """
    order = list(dict.fromkeys(tokens))
    number = {token: i for i, token in enumerate(order)}
    scene = np.array([number[token] for token in tokens], dtype=np.int64)
    row = np.arange(len(tokens))
    return order, scene, np.where(np.r_[True, scene[1:] != scene[:-1]], row, row - 1)


def _matrices(records: list[dict], table: str) -> Poses:
    return pose_matrix(
        np.array([field(r, "rotation", table) for r in records], dtype=np.float64).reshape(-1, 4),
        np.array([field(r, "translation", table) for r in records], dtype=np.float64).reshape(-1, 3),
    )


def _assemble(tables: KeyFrameRecords) -> KeyFrameIndex:
    samples, records, calibrations, poses = tables.samples, tables.data, tables.calibrations, tables.poses
    count = len(samples)
    lidar = [records[i, LIDAR] for i in range(count)]
    images = [records[i, camera] for i in range(count) for camera in CAMERAS]
    name_of = {s["token"]: field(s, "name", "scene") for s in tables.scenes}
    order, scene, previous = scene_columns([s["scene_token"] for s in samples])

    def ego(records: list[dict]) -> Poses:
        return poses.matrices([r["ego_pose_token"] for r in records])

    def mounting(records: list[dict]) -> Poses:
        return _matrices([calibrations[r["calibrated_sensor_token"]] for r in records], "calibrated_sensor")

    def column(records: list[dict], key: str, table: str = "sample_data") -> list[Any]:
        return [field(r, key, table) for r in records]

    cameras = [calibrations[r["calibrated_sensor_token"]] for r in images]
    by_camera = (count, len(CAMERAS))
    return KeyFrameIndex(
        scene_names=np.array([name_of[t] for t in order]),
        scene_tokens=np.array(order),
        scene=scene,
        token=np.array(column(samples, "token", "sample")),
        timestamp=np.array(column(samples, "timestamp", "sample"), dtype=np.int64),
        previous=previous,
        global_from_ego=ego(lidar),
        ego_from_lidar=mounting(lidar),
        lidar_token=np.array(column(lidar, "token")),
        lidar_file=np.array(column(lidar, "filename")),
        camera_global_from_ego=ego(images).reshape(*by_camera, 4, 4),
        camera_ego_from_cam=mounting(images).reshape(*by_camera, 4, 4),
        intrinsics=_intrinsics(cameras).reshape(*by_camera, 3, 3),
        image_size=np.array([column(images, "width"), column(images, "height")], dtype=np.int64).T.reshape(
            *by_camera, 2
        ),
        image_file=np.array(column(images, "filename")).reshape(by_camera),
    )


def _intrinsics(cameras: list[dict]) -> np.ndarray:
    matrices = []
    for record in cameras:
        matrix = np.array(field(record, "camera_intrinsic", "calibrated_sensor"), dtype=np.float64)
        if matrix.shape != (3, 3):
            raise DataError(
                f"calibrated_sensor {record['token']!r} is a camera without intrinsics",
                found=matrix.shape,
                expected="3 x 3",
            )
        matrices.append(matrix)
    return np.stack(matrices)
