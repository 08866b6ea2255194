"""The annotated boxes of nuScenes, as the info pickles hold them (spec/data/formats sections 2 and 9)."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError
from ..geometry.transforms import Poses, apply, inverse, rotation_from_quaternion
from .tables import field, read_table

DETECTION_CLASSES = (
    *("car", "truck", "construction_vehicle", "bus", "trailer"),
    *("barrier", "motorcycle", "bicycle", "pedestrian", "traffic_cone"),
)
"""The ten classes of detection, in the order of `ann_infos`."""
_CLASS_OF_CATEGORY = {
    "vehicle.car": "car",
    "vehicle.truck": "truck",
    "vehicle.construction": "construction_vehicle",
    "vehicle.bus.bendy": "bus",
    "vehicle.bus.rigid": "bus",
    "vehicle.trailer": "trailer",
    "movable_object.barrier": "barrier",
    "vehicle.motorcycle": "motorcycle",
    "vehicle.bicycle": "bicycle",
    "human.pedestrian.adult": "pedestrian",
    "human.pedestrian.child": "pedestrian",
    "human.pedestrian.construction_worker": "pedestrian",
    "human.pedestrian.police_officer": "pedestrian",
    "movable_object.trafficcone": "traffic_cone",
}
_TABLE = "sample_annotation"
_LONGEST_STEP = 1.5  # seconds between two sightings that a velocity may be made of


@dataclass(frozen=True)
class Boxes:
    """A boxes, in the order of the table. Global frame, metres.

    Attributes:
        row: [A] int64 key frame that each belongs to.
        name: [A] class of detection, or the category where that is none of them.
        center: [A, 3].
        size: [A, 3] (length, width, height).
        rotation: [A, 3, 3] global_from_box; x is forward.
        velocity: [A, 3] m/s, NaN where it is unknown.
        num_lidar, num_radar: [A] int64 returns inside.
    """

    row: np.ndarray
    name: np.ndarray
    center: np.ndarray
    size: np.ndarray
    rotation: Poses
    velocity: np.ndarray
    num_lidar: np.ndarray
    num_radar: np.ndarray

    def of_rows(self, first: int, end: int) -> Boxes:
        """Boxes of the key frames `first` <= row < `end`, by key frame, their rows counted from `first`."""
        chosen = np.flatnonzero((self.row >= first) & (self.row < end))
        chosen = chosen[np.argsort(self.row[chosen], kind="stable")]
        return Boxes(self.row[chosen] - first, *(getattr(self, name)[chosen] for name in _COLUMNS))


_COLUMNS = ("name", "center", "size", "rotation", "velocity", "num_lidar", "num_radar")


def read_boxes(folder: Path, rows: dict[str, int], timestamps: np.ndarray) -> Boxes:
    """Boxes of the table sample_annotation.

    Args:
        folder: `<root>/<version>`.
        rows: key frame of every sample token.
        timestamps: [F] int64 microseconds of the key frames.

    Raises:
        DataError: a table, a field or a referenced record is missing.
    """
    categories = {field(r, "token", "category"): field(r, "name", "category") for r in read_table(folder, "category")}
    instances = {
        field(r, "token", "instance"): categories.get(field(r, "category_token", "instance"))
        for r in read_table(folder, "instance")
    }
    names, numbers, links = [], array("d"), []
    for record in read_table(folder, _TABLE):
        name, values = _values(record, folder, rows, instances)
        names.append(name)
        numbers.extend(values)
        links.append((record["token"], field(record, "prev", _TABLE), field(record, "next", _TABLE)))
    table = np.frombuffer(numbers).reshape(-1, 13)
    place = {token: i for i, (token, _, _) in enumerate(links)}
    try:
        before, after = (
            np.array([place[link[side]] if link[side] else -1 for link in links], dtype=np.int64) for side in (1, 2)
        )
    except KeyError as error:
        raise DataError(f"{_TABLE} {error} is not in {folder / _TABLE}.json, but a neighbour names it") from error
    row, center = table[:, 0].astype(np.int64), table[:, 1:4]
    return Boxes(
        row,
        np.array(names, dtype=np.str_),
        center,
        table[:, [5, 4, 6]],
        rotation_from_quaternion(table[:, 7:11]),
        velocities(center, timestamps[row], before, after),
        table[:, 11].astype(np.int64),
        table[:, 12].astype(np.int64),
    )


def _values(
    record: dict, folder: Path, rows: dict[str, int], instances: dict[str, str | None]
) -> tuple[str, tuple[float, ...]]:
    """Class of a record, and its 13 numbers: key frame, translation, size, rotation, lidar and radar returns."""
    sample, instance = field(record, "sample_token", _TABLE), field(record, "instance_token", _TABLE)
    category = instances.get(instance)
    if sample not in rows or category is None:
        missing = f"sample {sample!r}" if sample not in rows else f"category of instance {instance!r}"
        raise DataError(f"{_TABLE} {record.get('token')!r} refers to what is not in {folder}", found=missing)
    vectors = [field(record, key, _TABLE) for key in ("translation", "size", "rotation")]
    if [len(vector) for vector in vectors] != [3, 3, 4]:
        raise DataError(f"{_TABLE} {record.get('token')!r} of {folder} is no box", found=vectors)
    counts = [field(record, key, _TABLE) for key in ("num_lidar_pts", "num_radar_pts")]
    values = (rows[sample], *(value for vector in vectors for value in vector), *counts)
    return _CLASS_OF_CATEGORY.get(category, category), values


def velocities(center: np.ndarray, time: np.ndarray, before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Velocities of annotated objects (spec/data/formats section 2).

    The difference between the sightings after and before one, or between it and the only neighbour it has; unknown
    for an object that was seen once, and over more than 1.5 s for each of the steps.

    Args:
        center: [A, 3] metres.
        time: [A] int64 microseconds.
        before, after: [A] position of the neighbouring sightings of the same object, -1 = none.

    Returns:
        [A, 3] m/s, NaN where unknown.
    """
    own = np.arange(len(center))
    first, last = np.where(before < 0, own, before), np.where(after < 0, own, after)
    seconds = 1e-6 * (time[last] - time[first])
    longest = np.where((before >= 0) & (after >= 0), 2 * _LONGEST_STEP, _LONGEST_STEP)
    known = (first != last) & (seconds <= longest) & (seconds > 0)
    velocity = np.full(center.shape, np.nan)
    velocity[known] = (center[last] - center[first])[known] / seconds[known, None]
    return velocity


def _yaw(rotation: Poses) -> np.ndarray:
    """[A] angle of the forward axes in the x-y plane, radians."""
    return np.arctan2(rotation[:, 1, 0], rotation[:, 0, 0])


def lidar_boxes(boxes: Boxes, chosen: slice, global_from_lidar: Poses) -> dict[str, Any]:
    """Keys of an info about the M boxes of a key frame.

    Args:
        boxes: of several key frames.
        chosen: those of the key frame.
        global_from_lidar: [4, 4] at the time of the sweep.

    Returns:
        `gt_boxes` [M, 7] float64 (x, y, z, length, width, height, yaw) in the lidar frame, `gt_names` [M],
        `gt_velocity` [M, 2] m/s along the lidar axes, NaN = unknown, `num_lidar_pts`, `num_radar_pts` [M] int64, and
        `valid_flag` [M] bool, True = any return inside.
    """
    lidar_from_global = inverse(global_from_lidar)
    level = boxes.velocity[chosen] * (1.0, 1.0, 0.0)
    lidar, radar = boxes.num_lidar[chosen], boxes.num_radar[chosen]
    center = apply(lidar_from_global, boxes.center[chosen])
    yaw = _yaw(lidar_from_global[:3, :3] @ boxes.rotation[chosen])
    return {
        "gt_boxes": np.concatenate([center, boxes.size[chosen], yaw[:, None]], axis=1),
        "gt_names": boxes.name[chosen],
        "gt_velocity": (level @ lidar_from_global[:3, :3].T)[:, :2],
        "num_lidar_pts": lidar,
        "num_radar_pts": radar,
        "valid_flag": lidar + radar > 0,
    }


def ego_boxes(boxes: Boxes, chosen: slice, global_from_ego: Poses) -> tuple[list[np.ndarray], list[int]]:
    """`ann_infos` of an info: the boxes of the ten classes of detection with any return inside.

    Args:
        boxes: of several key frames.
        chosen: those of the key frame.
        global_from_ego: [4, 4] at the time of CAM_FRONT.

    Returns:
        [9] float64 for each: x, y, z, length, width, height, yaw, v_x, v_y in the ego frame, velocity absolute; and
        the positions of their classes in `DETECTION_CLASSES`.
    """
    ego_from_global = inverse(global_from_ego)
    center = apply(ego_from_global, boxes.center[chosen])
    yaw = _yaw(ego_from_global[:3, :3] @ boxes.rotation[chosen])
    velocity = boxes.velocity[chosen] @ ego_from_global[:3, :3].T
    vectors = np.concatenate([center, boxes.size[chosen], yaw[:, None], velocity[:, :2]], axis=1)
    seen = (boxes.num_lidar + boxes.num_radar)[chosen] > 0
    known = {name: number for number, name in enumerate(DETECTION_CLASSES)}
    kept = [i for i, name in enumerate(boxes.name[chosen].tolist()) if seen[i] and name in known]
    return [vectors[i] for i in kept], [known[name] for name in boxes.name[chosen][kept].tolist()]
