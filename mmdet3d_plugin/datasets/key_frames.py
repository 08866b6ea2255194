"""The records of the nuScenes tables that belong to key frames."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..errors import DataError
from .tables import field, read_table

CAMERAS = ("CAM_FRONT_LEFT", "CAM_FRONT", "CAM_FRONT_RIGHT", "CAM_BACK_LEFT", "CAM_BACK", "CAM_BACK_RIGHT")
"""Order of the camera axis everywhere, as published (spec/data/pipelines section 1)."""
LIDAR = "LIDAR_TOP"
TABLES = ("scene", "sample", "sample_data", "ego_pose", "calibrated_sensor", "sensor")
"""What `read_key_frames` reads."""
_CHANNELS = (*CAMERAS, LIDAR)


@dataclass(frozen=True)
class KeyFrameRecords:
    """Records of F key frames, as they are in the tables (spec/data/formats section 2).

    Attributes:
        scenes: records of `scene`, in the order of the file.
        samples: [F] records of `sample`, by scene and then by time.
        data: `sample_data` of (row of the sample, channel), for the six cameras and the lidar.
        calibrations: `calibrated_sensor` by token.
        poses: `ego_pose` by token.
    """

    scenes: list[dict]
    samples: list[dict]
    data: dict[tuple[int, str], dict]
    calibrations: dict[str, dict]
    poses: dict[str, dict]


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
    calibrations, channels = _calibrations(folder)
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


def _calibrations(folder: Path) -> tuple[dict[str, dict], dict[str, str]]:
    """Calibrations by token, and the channel that each belongs to, for the channels of interest."""
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
    for record in read_table(folder, "sample_data"):
        if not field(record, "is_key_frame", "sample_data"):
            continue
        channel = channels.get(field(record, "calibrated_sensor_token", "sample_data"))
        row = rows.get(field(record, "sample_token", "sample_data"))
        if channel is not None and row is not None:
            records[row, channel] = record
    tokens = list(rows)
    for row, token in enumerate(tokens):
        for channel in _CHANNELS:
            if (row, channel) not in records:
                raise DataError(
                    f"sample {token!r} has no key frame of {channel} in {folder / 'sample_data.json'}",
                    expected=f"one sample_data record for each of {', '.join(_CHANNELS)}",
                )
    return records


def _ego_poses(folder: Path, wanted: set[str]) -> dict[str, dict]:
    poses = {r["token"]: r for r in read_table(folder, "ego_pose") if field(r, "token", "ego_pose") in wanted}
    if len(poses) != len(wanted):
        missing = min(wanted - set(poses))
        raise DataError(
            f"ego pose {missing!r} is not in {folder / 'ego_pose.json'}",
            found=f"{len(wanted) - len(poses)} missing",
        )
    return poses
