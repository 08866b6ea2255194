"""Labels of some key frames against their sweeps and boxes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from ...datasets.files import read_points
from ...datasets.index import FRONT, LIDAR
from ...datasets.labels import LabelSet, LabelVolume
from ...datasets.labels.lidarseg import PointClasses
from ...errors import DataError
from ...geometry.transforms import apply, inverse
from .agreement import (
    ClassTable,
    Hits,
    judge_axes,
    judge_classes,
    judge_time,
    standing_returns,
    turned,
    voxels_of,
)
from .findings import Finding
from .flow import FlowErrors, judge_flow, moving_boxes
from .inventory import Tree
from .releases import LABELS

AT_LIDAR, AT_CAMERA = f"ego at the time of {LIDAR}", "ego at the time of CAM_FRONT"
_MOVES = 0.1  # metres between the two times


@dataclass
class _Counts:
    axes: Hits = field(default_factory=Hits)
    time: Hits = field(default_factory=Hits)


def compare(tree: Tree, name: str, labels: LabelSet, rows: np.ndarray) -> Iterator[Finding]:
    """Frame, axes, classes and flow of an annotation on some key frames.

    Args:
        tree: the data set.
        name: annotation, see `LABEL_SETS`.
        labels: its reader.
        rows: key frames that have label files. What cannot be read of one is a finding, the others are compared.

    Raises:
        DataError: a table is broken.
    """
    counts, table, flow = _Counts(), ClassTable(labels.space), FlowErrors()
    classes = None
    if tree.has_point_classes:
        classes = PointClasses(tree.root, tree.version, tree.index.lidar_token[rows], labels.space)
    boxed = labels.space.flow and (tree.root / tree.version / "sample_annotation.json").is_file()
    boxes = moving_boxes(tree, rows.tolist()) if boxed else []
    for number, row in enumerate(rows.tolist()):
        try:
            volume = labels.load(tree.root, tree.index.name(row), training=False)
            points = read_points(tree.root / str(tree.index.lidar_file[row]))[:, :3].astype(np.float64)
            ids = None if classes is None else classes.load(number, len(points))
        except DataError as error:
            yield Finding(name, str(error), "PROBLEM")
            continue
        _count_returns(counts, tree, labels, row, volume, points)
        if ids is not None:
            _count_classes(table, tree, labels, row, volume, (points, ids))
        for box in boxes:
            if box.row == row and volume.flow is not None:
                flow.add(tree, box, volume.flow, labels.grid)
    fix = f"get {LABELS[name]} again, or convert the arrays to the axes, frame and numbering of docs/data.md"
    axes = list(judge_axes(name, counts.axes, fix))
    yield from axes
    if any(finding.status == "PROBLEM" for finding in axes):
        yield Finding(name, "time, classes and flow are judged once the axes fit", "note")
        return
    if labels.frame == "ego":
        yield from judge_time(name, counts.time, AT_LIDAR, AT_CAMERA)
    yield from judge_classes(name, table, fix)
    if labels.space.flow:
        yield from judge_flow(name, flow)


def _count_returns(
    counts: _Counts, tree: Tree, labels: LabelSet, row: int, volume: LabelVolume, points: np.ndarray
) -> None:
    index, occupied = tree.index, volume.occupancy != labels.space.free
    in_ego = apply(index.ego_from_lidar[row], points)
    kept = standing_returns(in_ego)
    in_ego, in_lidar = in_ego[kept], points[kept]
    own, other, name = (in_ego, in_lidar, "lidar frame") if labels.frame == "ego" else (in_lidar, in_ego, "ego frame")
    for hypothesis, moved in (turned(own) | {name: other}).items():
        counts.axes.add(hypothesis, moved, occupied, labels.grid)
    camera_from_ego = inverse(index.camera_global_from_ego[row, FRONT]) @ index.global_from_ego[row]
    if labels.frame == "ego" and np.linalg.norm(camera_from_ego[:3, 3]) > _MOVES:
        counts.time.add(AT_LIDAR, in_ego, occupied, labels.grid)
        counts.time.add(AT_CAMERA, apply(camera_from_ego, in_ego), occupied, labels.grid)


def _count_classes(
    table: ClassTable,
    tree: Tree,
    labels: LabelSet,
    row: int,
    volume: LabelVolume,
    returns: tuple[np.ndarray, np.ndarray],
) -> None:
    points, ids = returns
    own = apply(tree.index.ego_from_lidar[row], points) if labels.frame == "ego" else points
    voxels, inside = voxels_of(own, labels.grid)
    table.add(ids[inside], volume.occupancy[voxels])
