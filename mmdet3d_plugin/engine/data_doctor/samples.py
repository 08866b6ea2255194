"""One file of each kind: shape, type and range of its arrays (spec/data/formats sections 2 to 7, waymo section 2)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...datasets.files import read_jpeg, read_npy, read_npz, read_point_classes, read_points
from ...datasets.index import CAMERAS, FRONT
from ...datasets.labels import KeyFrameName, LabelSet
from ...datasets.tables import field, read_table
from ...errors import DataError
from ...structures import IGNORE
from .findings import Finding, problem
from .inventory import Tree

GRID = (200, 200, 16)
_RINGS, _MAX_SPEED = 32, 100.0


@dataclass(frozen=True)
class Expected:
    """What the format says of an array.

    Attributes:
        kinds: letters of `dtype.kind` that may be: integers "iu", bool "b", floating point "f".
        shape: exact shape.
        low, high: range of its finite values; 255 is allowed beside, where labels are integers.
    """

    kinds: str
    shape: tuple[int, ...]
    low: float
    high: float


_MASK = Expected("iub", GRID, 0, 1)
ARRAYS: dict[str, dict[str, Expected]] = {
    "occ3d": {"semantics": Expected("iu", GRID, 0, 17), "mask_lidar": _MASK, "mask_camera": _MASK},
    "openocc": {
        "semantics": Expected("iu", GRID, 0, 16),
        "flow": Expected("f", (*GRID, 2), -_MAX_SPEED, _MAX_SPEED),
    },
    "ray mask": {"ray_mask2": _MASK},
    "occ3d-waymo": {
        "voxel_label": Expected("iu", GRID, 0, 23),
        "origin_voxel_state": _MASK,
        "final_voxel_state": _MASK,
        "infov": _MASK,
        "ego2global": Expected("f", (4, 4), -np.inf, np.inf),
    },
}
"""Arrays of the npz files of an annotation."""


def describe(name: str, array: np.ndarray) -> str:
    """Name, shape, type and range of an array in words."""
    finite = array[np.isfinite(array)] if array.dtype.kind == "f" else array
    words = f"{name} {list(array.shape)} {array.dtype}"
    if not finite.size:
        return f"{words} without values"
    low, high = finite.min(), finite.max()
    return f"{words} {low:.4g} to {high:.4g}" if array.dtype.kind == "f" else f"{words} {int(low)} to {int(high)}"


def faults(array: np.ndarray, expected: Expected) -> list[str]:
    """In what an array differs from the format, in words."""
    found = []
    if array.dtype.kind not in expected.kinds:
        found.append(f"type {array.dtype} where one of kind {' or '.join(expected.kinds)} belongs")
    if array.shape != expected.shape:
        found.append(f"shape {list(array.shape)} where {list(expected.shape)} belongs")
    judged = array[array != IGNORE] if expected.kinds == "iu" else array[np.isfinite(array)]
    if judged.size and (judged.min() < expected.low or judged.max() > expected.high):
        found.append(f"values outside of {expected.low:g} to {expected.high:g}")
    return found


def sample_labels(topic: str, labels: LabelSet, root: Path, name: KeyFrameName) -> Iterator[Finding]:
    """The label file of a key frame.

    Args:
        topic: annotation, or "ray mask".
        labels: its reader.
        root: folder of the data set.
        name: the key frame.

    Raises:
        DataError: the file is missing, truncated, or has a label or a shape that the reader refuses.
    """
    (path,) = labels.paths(root, name)
    if topic not in ARRAYS:
        yield from _sample_rows(topic, labels, path)
        labels.load(root, name, training=False)
        return
    arrays = read_npz(path, tuple(ARRAYS[topic]))
    wrong = [f"{key}: {fault}" for key, array in arrays.items() for fault in faults(array, ARRAYS[topic][key])]
    yield _judge(topic, path, "; ".join(describe(key, array) for key, array in arrays.items()), wrong)
    if topic != "ray mask" and not wrong:
        occupancy = labels.load(root, name, training=False).occupancy
        present = [labels.space.classes[i] for i in labels.space.semantic if (occupancy == i).any()]
        share = (occupancy != labels.space.free).mean()
        yield Finding(topic, f"{share:.1%} of the voxels occupied, {len(present)} classes: {', '.join(present)}")


def _sample_rows(topic: str, labels: LabelSet, path: Path) -> Iterator[Finding]:
    rows = read_npy(path)
    text = describe("rows", rows)
    if rows.ndim == 2 and len(rows):
        text += f", columns {', '.join(f'{int(a)} to {int(b)}' for a, b in zip(rows.min(axis=0), rows.max(axis=0)))}"
    wrong = [] if rows.dtype.kind in "iu" else [f"rows: type {rows.dtype} where integers belong"]
    yield _judge(topic, path, f"{text}; grid {list(labels.grid.shape)} (x, y, z)", wrong)


def sample_image(tree: Tree, row: int) -> Iterator[Finding]:
    """An image of CAM_FRONT.

    Raises:
        DataError: see :func:`read_jpeg`.
    """
    path = tree.root / str(tree.index.image_file[row, FRONT])
    width, height = tree.index.image_size[row, FRONT].tolist()
    yield Finding("images", f"{path}\n  {describe(CAMERAS[FRONT], read_jpeg(path, (width, height)))}")


def sample_sweep(tree: Tree, row: int) -> Iterator[Finding]:
    """A lidar sweep.

    Raises:
        DataError: see :func:`read_points`.
    """
    path = tree.root / str(tree.index.lidar_file[row])
    points = read_points(path)
    columns = zip(("x", "y", "z", "intensity", "ring"), points.T)
    ranges = ", ".join(f"{name} {values.min():.4g} to {values.max():.4g}" for name, values in columns)
    wrong = [] if np.isfinite(points).all() else ["values that are not finite"]
    rings = points[:, 4]
    if not wrong and (rings.min() < 0 or rings.max() >= _RINGS or (rings % 1 != 0).any()):
        wrong.append(f"column 5 is no ring index 0 to {_RINGS - 1}, so that the rows have not 5 columns")
    yield _judge("sweeps", path, f"points {list(points.shape)} {points.dtype}, {ranges}", wrong)


def sample_point_classes(tree: Tree, row: int) -> Iterator[Finding]:
    """The classes of a lidar sweep.

    Raises:
        DataError: a table or file is missing or broken, or does not fit the sweep.
    """
    folder, token = tree.root / tree.version, str(tree.index.lidar_token[row])
    files = {field(r, "sample_data_token", "lidarseg"): r["filename"] for r in read_table(folder, "lidarseg")}
    if token not in files:
        raise DataError(f"{folder / 'lidarseg.json'} has no record of sweep {token!r}")
    path = tree.root / str(files[token])
    ids = read_point_classes(path, len(read_points(tree.root / str(tree.index.lidar_file[row]))))
    known = {field(record, "index", "category") for record in read_table(folder, "category")}
    unknown = sorted(set(np.unique(ids).tolist()) - known)
    wrong = [f"ids {unknown} that category.json does not have"] if unknown else []
    yield _judge("lidarseg", path, describe("ids", ids), wrong)


def _judge(topic: str, path: Path, text: str, wrong: list[str]) -> Finding:
    if not wrong:
        return Finding(topic, f"{path}\n  {text}")
    return problem(topic, f"{path} is not as its format says: {'; '.join(wrong)}\n  found:    {text}", "get it again")
