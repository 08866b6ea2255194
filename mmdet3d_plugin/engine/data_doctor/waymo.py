"""Occ3D-Waymo: what is there, and whether labels and sweeps agree (spec/data/waymo sections 1 and 2)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ...datasets.files import image_size, read_points
from ...datasets.labels import Occ3DWaymoLabels, label_set
from ...datasets.labels.waymo import SPLIT_FOLDERS
from ...datasets.waymo_frames import WaymoFrames
from ...datasets.waymo_index import CAMERAS, IMAGE_FOLDERS, PICKLES, load_waymo_index
from ...errors import DataError
from ...geometry.transforms import inverse
from .agreement import AS_DOCUMENTED, Hits, judge_axes, standing_returns, turned
from .findings import Finding, collect, problem
from .picture import View, draw
from .releases import LABELS, WAYMO_TREE
from .samples import sample_labels

NAME = "occ3d-waymo"
_FRAMES = Path("kitti_format") / "training"
_IMAGES = tuple(f"image_{camera}" for camera in range(5))
_POINT_COLUMNS = 6  # x, y, z, intensity, elongation, range-image index


def is_waymo(root: Path) -> bool:
    """Whether a folder has the layout of Occ3D-Waymo."""
    labels = [Path(label_set(NAME).folder) / folder for folder in SPLIT_FOLDERS.values()]
    return any((root / folder).is_dir() for folder in (*labels, _FRAMES))


def examine_waymo(root: Path, frames_compared: int, out: Path | None) -> list[Finding]:
    """Everything that can be said of a root.

    Args:
        root: absolute folder of the data set.
        frames_compared: number of frames whose labels and sweeps are compared.
        out: folder for a picture of each split; None draws none.
    """
    labels = label_set(NAME)
    assert isinstance(labels, Occ3DWaymoLabels)
    findings = [Finding("root", f"{root}: Occ3D-Waymo")]
    findings += collect("pickles", _pickles, root / labels.folder)
    splits = [split for split, folder in SPLIT_FOLDERS.items() if (root / labels.folder / folder).is_dir()]
    if not splits:
        what = f"{root / labels.folder} holds no Occ3D-Waymo labels\n  expected: {WAYMO_TREE}"
        return [*findings, problem(NAME, what, f"get {LABELS[NAME]}")]
    findings += [Finding("split", f"{split}: not there", "note") for split in SPLIT_FOLDERS if split not in splits]
    for split in splits:
        findings += collect(NAME, _examine_split, root, labels, split, frames_compared)
        if out is not None:
            findings += collect("picture", _draw, root, labels, split, out / f"{split}_{NAME}.png")
    return findings


def _pickles(folder: Path) -> Iterator[Finding]:
    names = [name for of_split in PICKLES.values() for name in of_split]
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        yield Finding("pickles", f"not there: {', '.join(missing)}; get {LABELS[NAME]}", "note")
    else:
        yield Finding("pickles", f"all {len(names)} are there")


def _examine_split(root: Path, labels: Occ3DWaymoLabels, split: str, count: int) -> Iterator[Finding]:
    frames = WaymoFrames.of_split(root, labels, split)
    yield Finding(NAME, f"{split}: {len(frames.scene_names)} scenes, {len(frames)} label files")
    yield from _gaps(frames, split)
    for folder in (*_IMAGES, "velodyne"):
        yield _count(root / _FRAMES / folder, frames.token, split)
    rows = np.unique(np.linspace(0, len(frames) - 1, count).round().astype(int))
    yield from collect(NAME, sample_labels, NAME, labels, root, frames.name(int(rows[0])))
    yield from _compare(frames, rows)


def _gaps(frames: WaymoFrames, split: str) -> Iterator[Finding]:
    """Frames of a scene are numbered without gaps, so that a missing file shows."""
    for scene, name in enumerate(frames.scene_names):
        present = {int(token[4:]) for token in frames.token[frames.frames_of(scene)].tolist()}
        absent = sorted(set(range(max(present) + 1)) - present)
        if absent:
            what = f"{split}: {len(absent)} label files of scene {name[1:]} are missing, first {absent[0]:03d}_04.npz"
            yield problem(NAME, what, f"unpack again {LABELS[NAME]}")


def _count(folder: Path, tokens: np.ndarray, split: str) -> Finding:
    """Images or sweeps of the frames that have labels; of whatever suffix."""
    if not folder.is_dir():
        return Finding(folder.name, f"{folder} is not there", "note")
    stems = {path.stem for path in folder.iterdir()}
    missing = [token for token in tokens.tolist() if token not in stems]
    if missing:
        what = f"{split}: {len(missing)} of {len(tokens)} files are missing in {folder}, first {missing[0]}"
        return problem(folder.name, what, "run the converter of the Waymo frames again")
    return Finding(folder.name, f"{split}: all {len(tokens)} files are there")


def _compare(frames: WaymoFrames, rows: np.ndarray) -> Iterator[Finding]:
    """Sweeps and labels are both in the frame of the vehicle, so that only axes can be wrong."""
    hits, labels = Hits(), frames.labels
    for row in rows.tolist():
        path = frames.root / _FRAMES / "velodyne" / f"{frames.token[row]}.bin"
        if not path.is_file():
            continue
        try:
            occupied = labels.load(frames.root, frames.name(row), training=False).occupancy != labels.space.free
            points = read_points(path, _POINT_COLUMNS)[:, :3].astype(np.float64)
        except DataError as error:
            yield Finding(NAME, str(error), "PROBLEM")
            continue
        for name, moved in turned(points[standing_returns(points)]).items():
            hits.add(name, moved, occupied, labels.grid)
    if AS_DOCUMENTED in hits.inside:
        yield from judge_axes(NAME, hits, f"get {LABELS[NAME]} again")
    else:
        yield Finding(NAME, "axes not judged: no sweeps of the chosen frames", "note")


def _draw(root: Path, labels: Occ3DWaymoLabels, split: str, path: Path) -> Iterator[Finding]:
    """The frame in the middle of a split, if the pickles with its calibration are there."""
    folder = root / labels.folder
    if not all((folder / name).is_file() for name in PICKLES[split]):
        yield Finding("picture", f"{split}: not drawn without {' and '.join(PICKLES[split])}", "note")
        return
    index, frames = load_waymo_index(folder, split), WaymoFrames.of_split(root, labels, split)
    calibrated = np.flatnonzero(np.isin(frames.token, index.token))
    if not len(calibrated):
        yield problem("picture", f"the pickles of {split} know none of the frames with labels", f"get {LABELS[NAME]}")
        return
    frame = int(calibrated[len(calibrated) // 2])
    row = int(np.flatnonzero(index.token == frames.token[frame])[0])
    poses = inverse(index.global_from_vehicle[row, 0]) @ index.global_from_vehicle[row] @ index.vehicle_from_cam[row]
    views: list[View] = []
    for number, pose, matrix in zip(IMAGE_FOLDERS, poses, index.intrinsics[row]):
        named = root / _FRAMES / f"image_{number}" / f"{frames.token[frame]}.jpg"
        file = named if named.is_file() else named.with_suffix(".png")
        views.append(View(CAMERAS[len(views)], file, image_size(file), pose, matrix))
    order = [CAMERAS.index(name) for name in ("FRONT_LEFT", "FRONT", "FRONT_RIGHT", "SIDE_LEFT", "SIDE_RIGHT")]
    yield from draw(root, labels, frames.name(frame), [views[i] for i in order], path)
