"""Labels of one annotation as those of another: classes by name, grid and frame by sampling."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import product

import numpy as np

from ...errors import ConfigError, closest
from ...geometry.transforms import Poses, inverse
from ...structures import IGNORE
from .base import LabelSet

FINEST = 0.75
"""Smallest edge of a target voxel as a share of the source voxel: a finer target would pretend to detail."""


def convert(
    occupancy: np.ndarray,
    from_labels: LabelSet,
    to_labels: LabelSet,
    ego_from_lidar: Poses | None = None,
    classes: Mapping[str, str] | None = None,
) -> np.ndarray:
    """Labels of a key frame on the grid, in the frame and in the label space of another annotation.

    Every target voxel takes the label of the source voxel that holds its centre. Where source voxels are at most half
    as large, n x n x n points of a target voxel are looked up (n = whole source voxels per edge), because a thin
    surface may miss the centre: the most frequent class among them counts, the lowest id where two are as frequent,
    and the voxel is free only where none of them is occupied. What lies outside of the source grid is not known: 255.

    Classes: see :func:`class_table`. Visibility masks and flow are not converted, no two annotations share them.

    Args:
        occupancy: [Z, Y, X] uint8 label ids over the grid of `from_labels`, 255 = ignored.
        from_labels, to_labels: the two annotations.
        ego_from_lidar: [4, 4] mounting of the lidar, metres; needed where one of them lives in the ego frame and the
            other in the lidar frame (spec/data/formats sections 3 to 7b).
        classes: source class -> target class, or "ignore", where names do not say it.

    Returns:
        [Z, Y, X] uint8 label ids over the grid of `to_labels`.

    Raises:
        ConfigError: a class has no counterpart, the target grid is too fine, the mounting is missing, or the volume
            has another shape than its grid.
    """
    if occupancy.shape != from_labels.grid.zyx:
        raise ConfigError(
            f"a volume is not on the grid of {from_labels.space.name}",
            found=occupancy.shape,
            expected=f"[Z, Y, X] = {from_labels.grid.zyx}",
        )
    table = class_table(from_labels, to_labels, classes)
    points = _sample_points(from_labels, to_labels)
    index_from_index = _index_from_index(from_labels, to_labels, ego_from_lidar)
    looks = (table[_look_up(occupancy, to_labels.grid.zyx, index_from_index, p)] for p in points)
    if len(points) == 1:
        return next(looks)
    return _vote(looks, to_labels)


def require_convertible(from_labels: LabelSet, to_labels: LabelSet) -> None:
    """Check, before any volume is read, that :func:`convert` can work without a table of classes.

    Raises:
        ConfigError: a class has no counterpart, or the target grid is too fine; prints both label spaces or grids.
    """
    class_table(from_labels, to_labels)
    _sample_points(from_labels, to_labels)


def class_table(from_labels: LabelSet, to_labels: LabelSet, classes: Mapping[str, str] | None = None) -> np.ndarray:
    """Target label of every source label.

    Classes of the same name belong together. "others" has no counterpart where the target lacks it or keeps its id
    for noise: something is there, but of no class of the target, so such voxels are ignored (255). Ignored voxels,
    and with them noise, stay ignored.

    Args:
        from_labels, to_labels: the two annotations.
        classes: source class -> target class, or "ignore"; wins over the names.

    Returns:
        [256] uint8.

    Raises:
        ConfigError: a source class has no counterpart, or `classes` names one that does not exist.
    """
    source, target, chosen = from_labels.space, to_labels.space, dict(classes or {})
    available = [name for name in target.classes if name != to_labels.noise_class]
    for name, to in chosen.items():
        source.index(name)
        if to not in (*available, "ignore"):
            raise ConfigError(f"{target.name} has no class {to!r} for {name!r}", expected=closest(to, available))
    table, lost = np.full(256, IGNORE, dtype=np.uint8), []
    for number, name in enumerate(source.classes):
        to = chosen.get(name, name)
        if name == from_labels.noise_class:
            continue  # no voxel has it
        if to in available:
            table[number] = target.index(to)
        elif to not in ("others", "ignore"):
            lost.append(name)
    if lost:
        raise ConfigError(
            f"{source.name} labels cannot be converted to {target.name}: classes without a counterpart",
            found=f"{', '.join(lost)} of {source.name}: {', '.join(source.classes)}",
            expected=f"classes of {target.name}: {', '.join(available)}",
            fix='say what they become with `classes`, for example {"vehicle": "car", "sign": "ignore"}',
        )
    return table


def _sample_points(from_labels: LabelSet, to_labels: LabelSet) -> list[tuple[float, float, float]]:
    """Points of a target voxel that are looked up, (x, y, z) as shares of its edges.

    Raises:
        ConfigError: the target voxels are too fine.
    """
    ratios = [t / s for s, t in zip(from_labels.grid.voxel_size, to_labels.grid.voxel_size)]
    if min(ratios) < FINEST:
        raise ConfigError(
            f"{from_labels.space.name} labels are too coarse for {to_labels.space.name}",
            found=f"{from_labels.space.name}: {from_labels.grid}",
            expected=f"{to_labels.space.name}: {to_labels.grid}, voxels of at least {FINEST} times those of the source",
            fix="convert to an annotation with coarser voxels",
        )
    x, y, z = ([(i + 0.5) / n for i in range(n)] for n in (max(1, math.floor(ratio + 1e-6)) for ratio in ratios))
    return list(product(x, y, z))


def _index_from_index(from_labels: LabelSet, to_labels: LabelSet, ego_from_lidar: Poses | None) -> Poses:
    """[4, 4] continuous target index (x, y, z) to continuous source index."""
    source, target = (labels.grid.metric_from_index("corner").numpy() for labels in (from_labels, to_labels))
    return np.linalg.inv(source) @ _source_from_target(from_labels, to_labels, ego_from_lidar) @ target


def _look_up(
    occupancy: np.ndarray, zyx: tuple[int, int, int], index_from_index: Poses, point: tuple[float, float, float]
) -> np.ndarray:
    """Source labels at one point of every target voxel, [Z, Y, X]; 255 outside of the source grid."""
    z, y, x = np.ogrid[tuple(slice(n) for n in zyx)]
    x, y, z = (axis + share for axis, share in zip((x, y, z), point))
    column, row, level = (np.floor(a * x + b * y + c * z + d).astype(np.int64) for a, b, c, d in index_from_index[:3])
    inside = np.ones(zyx, dtype=bool)
    for index, size in zip((level, row, column), occupancy.shape):
        inside &= (index >= 0) & (index < size)
    labels = np.full(zyx, IGNORE, dtype=np.uint8)
    labels[inside] = occupancy[level[inside], row[inside], column[inside]]
    return labels


def _vote(looks: Iterator[np.ndarray], to_labels: LabelSet) -> np.ndarray:
    """The most frequent class of several looks at the same voxels, [Z, Y, X] each; free where none is occupied."""
    space, shape = to_labels.space, to_labels.grid.zyx
    votes = np.zeros((space.num_classes, *shape), dtype=np.uint8)
    for labels in looks:
        for number in range(space.num_classes):
            votes[number] += labels == number
    free = votes[space.free].astype(bool)
    votes[space.free] = 0
    return np.where(votes.any(axis=0), votes.argmax(axis=0), np.where(free, space.free, IGNORE)).astype(np.uint8)


def _source_from_target(from_labels: LabelSet, to_labels: LabelSet, ego_from_lidar: Poses | None) -> Poses:
    if from_labels.frame == to_labels.frame:
        return np.eye(4)
    if ego_from_lidar is None:
        raise ConfigError(
            f"{from_labels.space.name} and {to_labels.space.name} live in different frames",
            found=f"{from_labels.space.name}: {from_labels.frame}",
            expected=f"{to_labels.space.name}: {to_labels.frame}",
            fix="give `ego_from_lidar`, the mounting of the lidar",
        )
    return inverse(ego_from_lidar) if from_labels.frame == "lidar" else np.asarray(ego_from_lidar, np.float64)
