"""Are stored velocities those of the annotated boxes, along the axes of the ego frame? (spec/data/formats section 7)"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from ...datasets.index import KeyFrameIndex
from ...datasets.nuscenes_boxes import velocities
from ...datasets.tables import field as column
from ...datasets.tables import read_table
from ...geometry.transforms import apply, inverse, pose_matrix
from ...structures import VoxelGrid
from .findings import Finding, problem
from .inventory import Tree

DOCUMENTED = "ego axes"
KEY_FRAME_INTERVAL = 0.5  # seconds
_MIN_SPEED, _MIN_BOXES, _MIN_VOXELS = 1.0, 5, 3  # m/s, boxes, voxels of a box
_MARGIN = 0.1  # of the mean speed, by which the error of the documented convention must be smaller


@dataclass(frozen=True)
class MovingBox:
    """An annotated box that moves.

    Attributes:
        row: key frame.
        global_from_box: [4, 4] pose of its middle, x along its length, metres.
        size: (length, width, height) metres.
        velocity: [3] over ground, global axes, m/s; no vertical part.
    """

    row: int
    global_from_box: np.ndarray
    size: np.ndarray
    velocity: np.ndarray


def moving_boxes(tree: Tree, rows: Sequence[int]) -> list[MovingBox]:
    """Boxes of some key frames that move faster than 1 m/s, by the centres in the key frames before and after.

    Raises:
        DataError: the table of the annotations, or one of its fields, is missing.
    """
    index = tree.index
    wanted = {str(index.token[r]): r for row in rows for r in _neighbours(index, row)}
    boxes: dict[tuple[int, str], dict] = {}
    for record in read_table(tree.root / tree.version, "sample_annotation"):
        row = wanted.get(column(record, "sample_token", "sample_annotation"))
        if row is not None:
            boxes[row, column(record, "instance_token", "sample_annotation")] = record
    place = {key: number for number, key in enumerate(boxes)}
    scene = index.scene[[row for row, _ in boxes]]
    before, after = (
        np.array([_seen(place, index, row + step, instance, s) for (row, instance), s in zip(boxes, scene)], dtype=int)
        for step in (-1, 1)
    )
    centre = np.array([column(r, "translation", "sample_annotation") for r in boxes.values()]).reshape(-1, 3)
    time = index.timestamp[[row for row, _ in boxes]]
    velocity = velocities(centre, time, before, after) * (1.0, 1.0, 0.0)
    found = []
    for number, ((row, _), record) in enumerate(boxes.items()):
        if row in rows and np.linalg.norm(velocity[number]) > _MIN_SPEED:  # False where it is unknown
            pose = pose_matrix(column(record, "rotation", "sample_annotation"), centre[number])
            width, length, height = column(record, "size", "sample_annotation")
            found.append(MovingBox(row, pose, np.array((length, width, height)), velocity[number]))
    return found


def _seen(place: dict[tuple[int, str], int], index: KeyFrameIndex, row: int, instance: str, scene: int) -> int:
    """Position of an instance in a key frame of a scene, -1 where it was not seen."""
    return place.get((row, instance), -1) if 0 <= row < len(index) and index.scene[row] == scene else -1


def _neighbours(index: KeyFrameIndex, row: int) -> list[int]:
    """The key frame with those before and after it in its scene."""
    near = (row - 1, row, row + 1)
    return [r for r in near if 0 <= r < len(index) and index.scene[r] == index.scene[row]]


@dataclass
class FlowErrors:
    """Stored flow against box velocities, one entry per box.

    Attributes:
        speeds: m/s.
        errors: length of the difference under each hypothesis, m/s.
    """

    speeds: list[float] = field(default_factory=list)
    errors: dict[str, list[float]] = field(default_factory=dict)

    def add(self, tree: Tree, box: MovingBox, flow: np.ndarray, grid: VoxelGrid) -> None:
        """Compare the voxels of a box; a box with too few is left out.

        Args:
            tree: for the poses.
            box: the box.
            flow: [2, Z, Y, X] float32 m/s, not finite where there is none.
            grid: grid of the labels, ego frame.
        """
        z, y, x = np.nonzero(np.isfinite(flow).all(axis=0))
        centres = np.array(grid.lower) + (np.stack((x, y, z), axis=-1) + 0.5) * grid.voxel_size
        global_from_ego = tree.index.global_from_ego[box.row]
        in_box = apply(inverse(box.global_from_box) @ global_from_ego, centres)
        inside = (np.abs(in_box) <= (box.size + grid.voxel_size) / 2).all(axis=1)
        if inside.sum() < _MIN_VOXELS:
            return
        stored = np.median(flow[:, z[inside], y[inside], x[inside]], axis=1)
        self.speeds.append(float(np.linalg.norm(box.velocity)))
        for name, velocity in _hypotheses(tree.index, box).items():
            self.errors.setdefault(name, []).append(float(np.linalg.norm(stored - velocity)))


def _hypotheses(index: KeyFrameIndex, box: MovingBox) -> dict[str, np.ndarray]:
    """What flow would be stored for a box: [2] each."""
    ego = index.global_from_ego[box.row, :3, :3].T
    in_ego = (ego @ box.velocity)[:2]
    in_lidar = (index.ego_from_lidar[box.row, :3, :3].T @ ego @ box.velocity)[:2]
    near = _neighbours(index, box.row)
    first, last = near[0], near[-1]
    gap = max((index.timestamp[last] - index.timestamp[first]) * 1e-6, 1e-6)
    own = (index.global_from_ego[last, :3, 3] - index.global_from_ego[first, :3, 3]) / gap
    return {
        DOCUMENTED: in_ego,
        "lidar axes": in_lidar,
        "global axes": box.velocity[:2],
        "components exchanged": in_ego[::-1],
        "signs reversed": -in_ego,
        "x reversed": in_ego * (-1, 1),
        "y reversed": in_ego * (1, -1),
        "relative to the own car": in_ego - (ego @ own)[:2],
        "metres per key frame": in_ego * KEY_FRAME_INTERVAL,
        "zero": np.zeros(2),
    }


def judge_flow(topic: str, found: FlowErrors) -> Iterator[Finding]:
    """The documented axes must have the smallest mean error, by a tenth of the mean speed."""
    if len(found.speeds) < _MIN_BOXES:
        yield Finding(topic, f"flow not judged: {len(found.speeds)} moving boxes in the chosen frames", "note")
        return
    errors = {name: float(np.mean(values)) for name, values in found.errors.items()}
    speed = float(np.mean(found.speeds))
    listed = ", ".join(f"{name} {errors[name]:.2f}" for name in sorted(errors, key=lambda n: errors[n]))
    text = f"{len(found.speeds)} moving boxes, mean speed {speed:.1f} m/s, mean error of the flow in m/s: {listed}"
    own = errors.pop(DOCUMENTED)
    rival = min(errors, key=lambda name: errors[name])
    margin = _MARGIN * speed
    if errors[rival] + margin <= own:
        yield problem(topic, f"flow is not along the ego axes: it is {rival}\n{text}", "get openocc_v2 of v2.1 again")
    elif own > speed / 2:
        yield problem(topic, f"flow is not the velocity of the boxes\n{text}", "get openocc_v2 of v2.1 again")
    elif own + margin <= errors[rival]:
        yield Finding(topic, text)
    else:
        yield Finding(topic, f"{text}; {rival} cannot be told from {DOCUMENTED} here", "note")
