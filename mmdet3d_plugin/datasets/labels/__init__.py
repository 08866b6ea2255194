"""Annotations of voxels, one small class per format on disk."""

from pathlib import Path
from typing import Any

from ...errors import ConfigError, DataError, closest
from .base import KeyFrameName, LabelSet, LabelVolume
from .occ3d import Occ3DLabels
from .openocc import OpenOccLabels
from .sparse import OpenOccupancyLabels, SurroundOccLabels
from .waymo import Occ3DWaymoLabels

LABEL_SETS: dict[str, tuple[type[LabelSet], dict[str, Any]]] = {
    "occ3d": (Occ3DLabels, {}),
    "openocc": (OpenOccLabels, {"mask": "none"}),
    "surroundocc": (SurroundOccLabels, {}),
    "openoccupancy": (OpenOccupancyLabels, {}),
    "occ3d-waymo": (Occ3DWaymoLabels, {}),
}
"""Annotations by the names that commands take, as they are read for evaluation."""


def label_set(name: str, **options: Any) -> LabelSet:
    """The reader of an annotation on the grid of its files.

    Args:
        name: one of `LABEL_SETS`.
        options: further arguments of its class.

    Raises:
        ConfigError: there is no such annotation.
    """
    if name not in LABEL_SETS:
        raise ConfigError(f"no annotation {name!r}", expected=closest(name, LABEL_SETS))
    kind, defaults = LABEL_SETS[name]
    return kind(kind.native_grid, **defaults, **options)


def open_labels(ground_truth: Path, name: str) -> tuple[Path, LabelSet]:
    """Root of a data set and the reader of its labels.

    Args:
        ground_truth: root of the data set, or its label folder (`<root>/gts`).
        name: one of `LABEL_SETS`.

    Raises:
        ConfigError: there is no such annotation.
        DataError: there is no such folder.
    """
    labels = label_set(name)
    if not ground_truth.is_dir():
        raise DataError(f"ground truth folder {ground_truth} does not exist")
    if (ground_truth / labels.folder).is_dir():
        return ground_truth, labels
    return ground_truth.parent, label_set(name, folder=ground_truth.name)


__all__ = [
    "LABEL_SETS",
    "KeyFrameName",
    "LabelSet",
    "LabelVolume",
    "Occ3DLabels",
    "Occ3DWaymoLabels",
    "OpenOccLabels",
    "OpenOccupancyLabels",
    "SurroundOccLabels",
    "label_set",
    "open_labels",
]
