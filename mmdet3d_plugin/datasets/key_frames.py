"""The records of the nuScenes tables that belong to key frames."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import DataError
from ..geometry.transforms import Poses, pose_matrix
from .tables import Where, field, read_table, require_whole

CAMERAS = ("CAM_FRONT_LEFT", "CAM_FRONT", "CAM_FRONT_RIGHT", "CAM_BACK_LEFT", "CAM_BACK", "CAM_BACK_RIGHT")
"""Order of the camera axis everywhere, as published (spec/data/pipelines section 1)."""
LIDAR = "LIDAR_TOP"
TABLES = ("scene", "sample", "sample_data", "ego_pose", "calibrated_sensor", "sensor")
"""What `read_key_frames` reads."""
_CHANNELS = (*CAMERAS, LIDAR)
_LEFT_OUT = ("sample_token", "prev", "next", "is_key_frame", "fileformat")  # of sample_data: memory that nobody reads


class EgoPoses:
    """`ego_pose` of M tokens, as one array instead of M records.

    Args:
        rows: position of each token in `numbers`.
        numbers: [M, 7] float64, rotation (w, x, y, z) and translation in metres, global from ego.
    """

    def __init__(self, rows: dict[str, int], numbers: np.ndarray):
        self.rows, self.numbers = rows, numbers

    def __getitem__(self, token: str) -> dict[str, list[float]]:
        """What the record of a token says: rotation and translation."""
        numbers = self.numbers[self.rows[token]].tolist()
        return {"rotation": numbers[:4], "translation": numbers[4:]}

    def matrices(self, tokens: Sequence[str]) -> Poses:
        """[len(tokens), 4, 4] float64 global from ego, metres."""
        numbers = self.numbers[[self.rows[token] for token in tokens]]
        return pose_matrix(numbers[:, :4], numbers[:, 4:])


@dataclass(frozen=True)
class KeyFrameRecords:
    """Records of F key frames, as they are in the tables (spec/data/formats section 2).

    Attributes:
        scenes: records of `scene`, in the order of the file.
        samples: [F] records of `sample`, by scene and then by time.
        data: `sample_data` of (row of the sample, channel), for the six cameras and the lidar, without its links.
        calibrations: `calibrated_sensor` by token.
        poses: `ego_pose` by token, of what `data` refers to.
    """

    scenes: list[dict]
    samples: list[dict]
    data: dict[tuple[int, str], dict]
    calibrations: dict[str, dict]
    poses: EgoPoses


def read_key_frames(folder: Path) -> KeyFrameRecords:
    """Read the tables of a version.

    Args:
        folder: `<root>/<version>`.

    Raises:
        DataError: a table, a field, a referenced record or a sensor of a key frame is missing.
    """
    scenes = list(read_table(folder, "scene"))
    samples = _sorted_samples(folder, scenes)
    rows = {field(s, "token", "sample"): i for i, s in enumerate(samples)}
    calibrations, channels = read_calibrations(folder)
    records = _key_frame_records(folder, rows, channels)
    poses = _ego_poses(folder, {field(r, "ego_pose_token", "sample_data") for r in records.values()})
    return KeyFrameRecords(scenes, samples, records, calibrations, poses)


def _sorted_samples(folder: Path, scenes: list[dict]) -> list[dict]:
    """Samples by scene, scenes by their first key frame; scenes never interleave (spec/data/defects S5)."""
    known = {field(s, "token", "scene") for s in scenes}
    samples = list(read_table(folder, "sample"))
    start: dict[str, int] = {}
    for sample in samples:
        scene, time = field(sample, "scene_token", "sample"), field(sample, "timestamp", "sample")
        if scene not in known:
            raise DataError(f"sample {sample['token']!r} belongs to a scene that is not in {folder / 'scene.json'}")
        start[scene] = min(time, start.get(scene, time))
    if not samples:
        raise DataError(f"{folder / 'sample.json'} has no records")
    return sorted(samples, key=lambda s: (start[s["scene_token"]], s["scene_token"], s["timestamp"]))


def read_calibrations(folder: Path) -> tuple[dict[str, dict], dict[str, str]]:
    """Records of `calibrated_sensor` by token, and the channel that each belongs to: the six cameras and the lidar.

    Args:
        folder: `<root>/<version>`.

    Raises:
        DataError: a table or a field is missing.
    """
    channel_of = {field(s, "token", "sensor"): field(s, "channel", "sensor") for s in read_table(folder, "sensor")}
    calibrations, channels = {}, {}
    for record in read_table(folder, "calibrated_sensor"):
        channel = channel_of.get(field(record, "sensor_token", "calibrated_sensor"))
        if channel in _CHANNELS:
            calibrations[record["token"]], channels[record["token"]] = record, channel
    return calibrations, channels


def _key_frame_records(folder: Path, rows: dict[str, int], channels: dict[str, str]) -> dict[tuple[int, str], dict]:
    """sample_data of every (row, channel)."""
    records = {}
    for record in read_table(folder, "sample_data", Where("is_key_frame", b"false".__ne__)):
        if not field(record, "is_key_frame", "sample_data"):
            continue
        channel = channels.get(field(record, "calibrated_sensor_token", "sample_data"))
        row = rows.get(field(record, "sample_token", "sample_data"))
        if channel is not None and row is not None:
            records[row, channel] = {key: value for key, value in record.items() if key not in _LEFT_OUT}
    tokens = list(rows)
    for row, token in enumerate(tokens):
        for channel in _CHANNELS:
            if (row, channel) not in records:
                require_whole(folder, "sample_data")
                raise DataError(
                    f"sample {token!r} has no key frame of {channel} in {folder / 'sample_data.json'}",
                    expected=f"one sample_data record for each of {', '.join(_CHANNELS)}",
                )
    return records


def _ego_poses(folder: Path, wanted: set[str]) -> EgoPoses:
    rows: dict[str, int] = {}
    numbers = array("d")
    for record in read_table(folder, "ego_pose", Where.among("token", wanted)):
        token = field(record, "token", "ego_pose")
        if token in wanted:
            rows[token] = len(numbers) // 7
            parts = [field(record, key, "ego_pose") for key in ("rotation", "translation")]
            try:
                if [len(part) for part in parts] != [4, 3]:
                    raise ValueError
                numbers.extend([*parts[0], *parts[1]])
            except (TypeError, ValueError, OverflowError) as error:
                raise DataError(
                    f"ego pose {token!r} in {folder / 'ego_pose.json'} is no pose",
                    found=parts,
                    expected="rotation of 4 numbers, translation of 3",
                    fix="copy or unpack the metadata archive again",
                ) from error
    if len(rows) != len(wanted):
        require_whole(folder, "ego_pose")
        missing = min(wanted - set(rows))
        raise DataError(
            f"ego pose {missing!r} is not in {folder / 'ego_pose.json'}",
            found=f"{len(wanted) - len(rows)} missing",
        )
    return EgoPoses(rows, np.frombuffer(numbers).reshape(-1, 7))
