"""Scenes to show, read from saved predictions, label files and camera images."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..datasets.files import read_jpeg
from ..datasets.index import CAMERAS, KeyFrameIndex, load_index
from ..datasets.labels.base import KeyFrameName, LabelSet
from ..errors import DataError, closest
from ..evaluation.predictions import read_prediction
from .views import FrameView, SceneView

FRAMES_UNASKED = 40  # without `scenes`: whole scenes until this many frames, so that the file stays small
_SYNTHETIC_MARK = "SYNTHETIC.json"
log = logging.getLogger(__name__)


def read_scenes(
    predictions: Path, truth: tuple[Path, LabelSet], images: Path | None, names: Sequence[str] | None
) -> list[SceneView]:
    """Every frame of some scenes that has a saved prediction, by time.

    Args:
        predictions: folder with `<scene>/<token>.npz`.
        truth: what :func:`open_labels` returns.
        images: root of a nuScenes tree whose camera images are shown; None shows none.
        names: scenes; None takes whole scenes from the first one on until 40 frames.

    Raises:
        DataError: the folder has no predictions, a scene does not exist, or a file is missing or unreadable.
    """
    root, labels = truth
    files = _prediction_files(predictions)
    index = _find_index([images] if images else [root], {path.stem for scene in files.values() for path in scene})
    if images and index is None:
        raise DataError(f"{images} has no nuScenes tables of these samples", expected="v1.0-*/sample.json ...")
    scenes: list[SceneView] = []
    for name in _chosen(files, names):
        ordered = _by_time(files[name], index)
        if names is None and scenes and sum(len(s.frames) for s in scenes) + len(ordered) > FRAMES_UNASKED:
            log.info("%d of %d scenes shown; --scenes names others", len(scenes), len(files))
            break
        scenes.append(SceneView(name, [_frame(path, root, labels, index, images) for path in ordered]))
    return scenes


def is_synthetic(*folders: Path | None) -> bool:
    """Whether one of some folders, or the one above it, is marked as a generated world."""
    return any((f / _SYNTHETIC_MARK).is_file() for p in folders if p for f in (p, p.parent))


def _prediction_files(folder: Path) -> dict[str, list[Path]]:
    files: dict[str, list[Path]] = {}
    for path in sorted(folder.glob("*/*.npz")):
        files.setdefault(path.parent.name, []).append(path)
    if not files:
        raise DataError(
            f"{folder} holds no predictions",
            found="a folder without them" if folder.is_dir() else "no such folder",
            expected="<scene>/<token>.npz",
            fix="save some: python tools/test.py CONFIG CHECKPOINT --save DIR",
        )
    return files


def _chosen(files: dict[str, list[Path]], names: Sequence[str] | None) -> list[str]:
    for name in names or ():
        if name not in files:
            raise DataError(f"there are no predictions of scene {name!r}", expected=closest(name, files))
    return list(names or files)


def _find_index(roots: Sequence[Path], tokens: set[str]) -> KeyFrameIndex | None:
    """Tables that know the samples, if a root has some."""
    for root in roots:
        for table in sorted(root.glob("*/sample.json")):
            index = load_index(root.resolve(), table.parent.name)
            if tokens & set(index.token.tolist()):
                return index
    log.warning("no nuScenes tables: frames are in the order of their names, not of time (--images ROOT)")
    return None


def _by_time(paths: list[Path], index: KeyFrameIndex | None) -> list[Path]:
    if index is None:
        return paths
    time = dict(zip(index.token.tolist(), index.timestamp.tolist()))
    unknown = [path for path in paths if path.stem not in time]
    if unknown:
        raise DataError(f"sample {unknown[0].stem} of {unknown[0]} is not in the tables of the data set")
    return sorted(paths, key=lambda path: time[path.stem])


def _frame(path: Path, root: Path, labels: LabelSet, index: KeyFrameIndex | None, images: Path | None) -> FrameView:
    scene, token = path.parent.name, path.stem
    name, row = KeyFrameName(scene, "", token, "", ""), -1
    if index is not None:
        row = int(np.flatnonzero(index.token == token)[0])
        name = index.name(row)
    elif labels.frame == "lidar":
        raise DataError(
            f"{labels.space.name} names its files after lidar sweeps",
            fix="give the root of the data set, with its tables, as ground truth or with --images",
        )
    truth = labels.load(root, name, training=False)
    prediction = read_prediction(path, labels.grid, labels.space)
    shown = _images(index, row, images) if index is not None and images else []
    return FrameView(token, truth.occupancy, prediction.occupancy.numpy(), truth.mask_camera, shown)


def _images(index: KeyFrameIndex, row: int, root: Path) -> list[tuple[str, np.ndarray]]:
    shown = []
    for camera, name in enumerate(CAMERAS):
        size = tuple(index.image_size[row, camera].tolist())
        reduction = 2 if size[0] >= 960 else 1
        shown.append((name, read_jpeg(root / str(index.image_file[row, camera]), size, reduction)))
    return shown
