"""Do sweeps and labels lie in one frame, with the axes in one order, with classes of one numbering?

Returns lie on surfaces, and surfaces are what labels mark as occupied. Under the documented convention nearly all
returns fall into occupied voxels, under any other few do. The ground lies everywhere and fits every convention: only
returns above it are counted (spec/data/formats sections 1, 4 to 6; defects F1).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import linear_sum_assignment

from ...structures import IGNORE, OCC3D_NUSCENES, OPENOCC, LabelSpace, VoxelGrid
from .findings import Finding, problem

AS_DOCUMENTED = "as documented"
MARGIN = 0.1  # the documented convention must be better than every other by this share
CLEARANCE, OWN_CAR, REACH = 0.5, 3.0, 38.0  # metres: above the ground, from the middle of the own car, in the grid
MIN_RETURNS, MIN_PER_CLASS = 500, 50
_MIDDLE_OF_CAR = 1.4  # metres ahead of the rear axle
_LAG_MARGIN = 0.01
_NUMBER_OF_CLASSES = 256

_TURNS: dict[str, tuple[tuple[int, int, int], tuple[int, int, int]]] = {
    "x and y exchanged": ((1, 0, 2), (1, 1, 1)),
    "x reversed": ((0, 1, 2), (-1, 1, 1)),
    "y reversed": ((0, 1, 2), (1, -1, 1)),
    "turned by 90 degrees to the left": ((1, 0, 2), (-1, 1, 1)),
    "turned by 90 degrees to the right": ((1, 0, 2), (1, -1, 1)),
    "turned by 180 degrees": ((0, 1, 2), (-1, -1, 1)),
}


@dataclass
class Hits:
    """Returns that fell into occupied voxels, by hypothesis, summed over frames."""

    inside: dict[str, int] = field(default_factory=dict)
    occupied: dict[str, int] = field(default_factory=dict)

    def add(self, name: str, points: np.ndarray, occupied: np.ndarray, grid: VoxelGrid) -> None:
        """Count the returns of a frame.

        Args:
            name: hypothesis.
            points: [P, 3] metres, in the frame of the grid if the hypothesis is true.
            occupied: [Z, Y, X] bool.
            grid: grid of `occupied`; returns outside of it are left out.
        """
        z, y, x = voxels_of(points, grid)[0]
        self.inside[name] = self.inside.get(name, 0) + len(x)
        self.occupied[name] = self.occupied.get(name, 0) + int(occupied[z, y, x].sum())

    def shares(self) -> dict[str, float]:
        """Share of the returns inside the grid that met an occupied voxel, 0 to 1."""
        return {name: self.occupied[name] / max(count, 1) for name, count in self.inside.items()}


def voxels_of(points: np.ndarray, grid: VoxelGrid) -> tuple[tuple[np.ndarray, np.ndarray, np.ndarray], np.ndarray]:
    """Voxels that hold points, as one index per axis (z, y, x), and [P] bool which points lie inside the grid.

    Args:
        points: [P, 3] metres, frame of the grid.
        grid: the grid.
    """
    voxel = np.floor((points - grid.lower) / np.array(grid.voxel_size)).astype(np.int64)
    inside = ((voxel >= 0) & (voxel < grid.shape)).all(axis=1)
    x, y, z = voxel[inside].T
    return (z, y, x), inside


def standing_returns(points: np.ndarray) -> np.ndarray:
    """[P] bool: returns above the ground, beside the own car, near enough for every hypothesis to stay in the grid.

    Args:
        points: [P, 3] metres, ego frame.
    """
    from_car = np.hypot(points[:, 0] - _MIDDLE_OF_CAR, points[:, 1])
    return (points[:, 2] > CLEARANCE) & (from_car > OWN_CAR) & (np.hypot(points[:, 0], points[:, 1]) < REACH)


def turned(points: np.ndarray) -> dict[str, np.ndarray]:
    """Points as volumes with other axes would have them, by hypothesis: [P, 3] each, metres."""
    return {AS_DOCUMENTED: points} | {
        name: points[:, list(order)] * np.array(signs) for name, (order, signs) in _TURNS.items()
    }


def percent(scores: Mapping[str, float]) -> str:
    """Scores in one line, the best first."""
    return ", ".join(f"{name} {100 * scores[name]:.1f} %" for name in sorted(scores, key=lambda n: -scores[n]))


def judge_axes(topic: str, hits: Hits, fix: str) -> Iterator[Finding]:
    """Axes and frame of a volume: the documented convention must win clearly.

    Args:
        topic: topic of the finding.
        hits: counts under `AS_DOCUMENTED` and other hypotheses.
        fix: what helps if it does not.
    """
    shares, count = hits.shares(), hits.inside.get(AS_DOCUMENTED, 0)
    if count < MIN_RETURNS:
        yield Finding(topic, f"axes not judged: {count} lidar returns above the ground in the chosen frames", "note")
        return
    text = f"{count} lidar returns above the ground, in occupied voxels: {percent(shares)}"
    own = shares.pop(AS_DOCUMENTED)
    rival = max(shares, key=lambda name: shares[name])
    if own >= shares[rival] + MARGIN:
        yield Finding(topic, text)
    elif shares[rival] >= own + MARGIN:
        yield problem(topic, f"axes or frame are not those of the format: it is {rival}\n{text}", fix)
    else:
        yield problem(topic, f"labels and sweeps fit under no convention; the nearest other is {rival}\n{text}", fix)


def judge_time(topic: str, hits: Hits, lidar: str, camera: str) -> Iterator[Finding]:
    """Ego frame at the time of the sweep, or of CAM_FRONT (spec/data/defects F1), on frames where the car moves.

    Args:
        topic: topic of the finding.
        hits: counts under the two hypotheses.
        lidar, camera: their names.
    """
    shares, count = hits.shares(), hits.inside.get(lidar, 0)
    if count < MIN_RETURNS:
        yield Finding(topic, "time of the ego frame not judged: the car stands still in the chosen frames", "note")
        return
    lead = shares[lidar] - shares[camera]
    text = f"where the car moves, {count} returns: {percent(shares)}"
    if lead < -_LAG_MARGIN:
        what = f"the labels are in the ego frame of CAM_FRONT's time\n{text}"
        yield problem(topic, what, "set key_frame='cam_front_ego' in the config")
    elif lead < _LAG_MARGIN:
        yield Finding(topic, f"{text}; too close to tell", "note")
    else:
        yield Finding(topic, text)


class ClassTable:
    """Returns by the class of the point and the label of the voxel that holds it, summed over frames.

    Args:
        space: label space of the voxels, and of the points.

    Attributes:
        counts: [K, 256] int64, class of the point by label of the voxel.
    """

    def __init__(self, space: LabelSpace):
        self.space = space
        self.counts = np.zeros((_NUMBER_OF_CLASSES, _NUMBER_OF_CLASSES), dtype=np.int64)

    def add(self, points: np.ndarray, voxels: np.ndarray) -> None:
        """Count [P] uint8 classes of points against [P] uint8 labels of their voxels; 255 and free are left out."""
        known = (points != IGNORE) & (voxels != IGNORE) & (voxels != self.space.free)
        np.add.at(self.counts, (points[known], voxels[known]), 1)

    def shares(self) -> tuple[np.ndarray, list[int]]:
        """[C, C] share of the returns of a class in voxels of a label, over the C classes with enough returns."""
        others = {self.space.index("others")} if "others" in self.space.classes else set()
        classes = [c for c in self.space.semantic if c not in others and self.counts[c].sum() >= MIN_PER_CLASS]
        counts = self.counts[classes]
        return counts[:, : self.space.num_classes] / np.maximum(counts.sum(axis=1, keepdims=True), 1), classes


def judge_classes(topic: str, table: ClassTable, fix: str) -> Iterator[Finding]:
    """Numbering of the classes: the documented one against those of other annotations and the best there is.

    The score of a numbering is the share of returns in voxels of their own class, averaged over the classes.

    Args:
        topic: topic of the finding.
        table: counts of some frames.
        fix: what helps if the numbering is another.
    """
    shares, classes = table.shares()
    if len(classes) < 2:
        yield Finding(topic, "classes not judged: too few lidar returns with a class in occupied voxels", "note")
        return
    names = [table.space.classes[c] for c in classes]
    scores = {name: _score(shares, ids) for name, ids in _numberings(table.space, classes).items()}
    best_ids = linear_sum_assignment(-shares)[1]
    best = float(shares[np.arange(len(classes)), best_ids].mean())
    text = f"returns in voxels of their own lidarseg class, mean of {len(classes)} classes: {percent(scores)}"
    if best <= scores[AS_DOCUMENTED] + MARGIN:
        yield Finding(topic, text)
        return
    rival = max(scores, key=lambda name: scores[name])
    moved = [f"{i} holds {n}, not {table.space.classes[i]}" for n, c, i in zip(names, classes, best_ids) if i != c]
    what = rival if rival != AS_DOCUMENTED and scores[rival] > best - MARGIN else "no known numbering"
    yield problem(
        topic,
        f"classes are not numbered as documented: {what}; {', '.join(moved)}\n{text}, best renumbering {best:.1%}",
        fix,
    )


def _score(shares: np.ndarray, ids: list[int | None]) -> float:
    return float(np.mean([0.0 if i is None else shares[k, i] for k, i in enumerate(ids)]))


def _numberings(space: LabelSpace, classes: list[int]) -> dict[str, list[int | None]]:
    """Hypotheses: for each class the id that would stand for it."""
    found: dict[str, list[int | None]] = {AS_DOCUMENTED: list(classes)}
    for other in (OCC3D_NUSCENES, OPENOCC):
        ids = [other.index(space.classes[c]) if space.classes[c] in other.classes else None for c in classes]
        if ids != classes:
            found[f"order of {other.name}"] = ids
    for step, name in ((1, "ids one too high"), (-1, "ids one too low")):
        found[name] = [c + step if 0 <= c + step < space.num_classes else None for c in classes]
    return found
