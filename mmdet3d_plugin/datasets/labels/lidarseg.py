"""Classes of single lidar points (spec/data/formats section 3.1)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ...errors import DataError
from ...structures import IGNORE, LabelSpace
from ..files import read_point_classes
from ..tables import field, read_table

_GET_LIDARSEG = "unpack the nuScenes lidarseg archive over the data set, or train without image semantics"

# nuScenes category -> class of the occupancy benchmarks. Whatever is not listed is "others".
_CLASS_OF_CATEGORY = {
    "movable_object.barrier": "barrier",
    "vehicle.bicycle": "bicycle",
    "vehicle.bus.bendy": "bus",
    "vehicle.bus.rigid": "bus",
    "vehicle.car": "car",
    "vehicle.construction": "construction_vehicle",
    "vehicle.motorcycle": "motorcycle",
    "human.pedestrian.adult": "pedestrian",
    "human.pedestrian.child": "pedestrian",
    "human.pedestrian.construction_worker": "pedestrian",
    "human.pedestrian.police_officer": "pedestrian",
    "movable_object.trafficcone": "traffic_cone",
    "vehicle.trailer": "trailer",
    "vehicle.truck": "truck",
    "flat.driveable_surface": "driveable_surface",
    "flat.other": "other_flat",
    "flat.sidewalk": "sidewalk",
    "flat.terrain": "terrain",
    "static.manmade": "manmade",
    "static.vegetation": "vegetation",
}


def point_class_table(categories: Iterable[dict], space: LabelSpace) -> np.ndarray:
    """Label id of every lidarseg id, found by the names of the categories and never by their numbers.

    Args:
        categories: records of category.json, with `name` and `index`.
        space: label space of the volume; a class that it lacks ("others" in OpenOcc) is 255.

    Returns:
        [256] uint8.

    Raises:
        DataError: a category has no index, so lidarseg is not installed.
    """
    table = np.full(256, IGNORE, dtype=np.uint8)
    for record in categories:
        if "index" not in record:
            raise DataError(
                f"category {record.get('name')!r} has no lidarseg index",
                fix=_GET_LIDARSEG,
            )
        name = _CLASS_OF_CATEGORY.get(record["name"], "others")
        if name in space.classes:
            table[record["index"]] = space.index(name)
    return table


class PointClasses:
    """Label ids of lidar points.

    Args:
        root: folder of the data set.
        version: folder of the tables.
        tokens: [F] sample_data tokens of the sweeps that will be asked for.
        space: label space of the volume.

    Raises:
        DataError: the table lidarseg is missing, or lacks one of the sweeps.
    """

    def __init__(self, root: Path, version: str, tokens: np.ndarray, space: LabelSpace):
        self.root = root
        self.table = point_class_table(read_table(root / version, "category"), space)
        files = {
            field(r, "sample_data_token", "lidarseg"): field(r, "filename", "lidarseg")
            for r in read_table(root / version, "lidarseg")
        }
        missing = [token for token in tokens.tolist() if token not in files]
        if missing:
            raise DataError(
                f"{root / version / 'lidarseg.json'} is incomplete",
                found=f"{len(missing)} of {len(tokens)} sweeps have no classes, first {missing[0]!r}",
                fix=_GET_LIDARSEG,
            )
        self.files = np.array([files[token] for token in tokens.tolist()])

    def load(self, index: int, count: int) -> np.ndarray:
        """[P] uint8 label ids of the points of sweep `index`, 255 = none.

        Raises:
            DataError: the file is missing or does not hold `count` points.
        """
        return self.table[read_point_classes(self.root / str(self.files[index]), count)]
