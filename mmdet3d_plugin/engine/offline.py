"""Scoring a folder of saved predictions, ours or another code base's: no model, no images, any number of processes."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from mmengine.logging import print_log
from tqdm import tqdm

from ..datasets.checks import find_folder, find_root, require_label_files
from ..datasets.index import KeyFrameIndex, load_split
from ..datasets.labels import LabelSet, Occ3DWaymoLabels, label_set
from ..datasets.waymo_frames import WaymoFrames
from ..errors import DataError
from ..evaluation import (
    EvaluationState,
    OccupancyEvaluator,
    Protocol,
    Result,
    make_result,
    merge_states,
    read_prediction,
    write_result,
)
from ..evaluation.orientation import turned
from ..evaluation.scores import Mode
from ..parallel import available_cpus, process_pool
from ..structures import OccTargets

_LISTED = 5  # samples named in an error
Frames = KeyFrameIndex | WaymoFrames


@dataclass(frozen=True)
class SavedPredictions:
    """What is scored, against what.

    Attributes:
        files: sample token -> file, see :func:`find_predictions`.
        root: folder of the data set.
        version: folder of its tables; Occ3D-Waymo has none.
        split: "train", "val", ...
        labels: name of the annotation, one of `LABEL_SETS`.
        metrics, mode: as `OccupancyEvaluator` takes them.
    """

    files: dict[str, Path]
    root: Path
    version: str
    split: str
    labels: str
    metrics: tuple[str, ...]
    mode: Mode

    def opened(self) -> tuple[Frames, LabelSet]:
        """Key frames of the split, and the reader of their labels."""
        reader = label_set(self.labels)
        if isinstance(reader, Occ3DWaymoLabels):
            return WaymoFrames.of_split(self.root, reader, self.split), reader
        return load_split(self.root, self.version, self.split), reader

    @property
    def measured_on(self) -> str:
        """Name of the data and its part."""
        if self.labels == "occ3d-waymo":
            return f"WaymoOccDataset {self.split}"
        return f"NuScenesOccDataset {self.version} {self.split}"


def score_predictions(
    predictions: str | Path,
    root: str | Path,
    out: str | Path,
    *,
    version: str,
    split: str = "val",
    labels: str = "occ3d",
    metrics: Sequence[str] = ("miou",),
    mode: Mode = "published",
    workers: int | None = None,
) -> Result:
    """Score saved predictions of every key frame of a split.

    Scenes that are counted are kept beside `out` until all are: the same command continues after an interruption,
    and counts a scene again where one of its predictions has changed.

    Args:
        predictions: folder, see :func:`find_predictions`.
        root: folder of the data set.
        out: the result file (JSON).
        version: folder of the tables, for example "v1.0-trainval"; not used for Occ3D-Waymo.
        split: "train", "val", ...
        labels: name of the annotation, one of `LABEL_SETS`.
        metrics, mode: as `OccupancyEvaluator` takes them.
        workers: processes; one for each CPU if None. Their number changes no number.

    Returns:
        the result, which is also written to `out`.

    Raises:
        DataError: files or samples are missing, unknown or broken.
        EvaluationError: a prediction does not fit the grid or the label space.
    """
    out = Path(out)
    waymo = labels == "occ3d-waymo"
    folder = find_folder(root, "a folder with gts/validation/") if waymo else find_root(root, version)
    job = SavedPredictions(find_predictions(predictions), folder, version, split, labels, tuple(metrics), mode)
    index, reader = job.opened()
    OccupancyEvaluator(reader.space, reader.grid, job.metrics, mode)  # refuses metrics before any work
    _require_predictions(job, index, Path(predictions))
    require_label_files(reader, folder, [index.name(row) for row in range(len(index))])
    parts = out.with_name(f"{out.name}.parts")
    state = merge_states(_score_scenes(job, index, parts, workers))
    state.check_complete(index.token.tolist())
    protocol = Protocol.from_state(
        state,
        reader.grid,
        dataset=job.measured_on,
        synthetic=(folder / "SYNTHETIC.json").is_file(),
        training_mask="unknown",
        profile="saved predictions",
    )
    result = make_result(state, protocol)
    write_result(out, result)
    for path in parts.glob("*.npz"):
        path.unlink()
    parts.rmdir()
    return result


def find_predictions(folder: str | Path) -> dict[str, Path]:
    """Files by sample token: `<scene>/<token>.npz` (ours), `<token>.npz`, or `<scene>/<token>/labels.npz` (Occ3D's).

    Raises:
        DataError: there is none, or a sample has two.
    """
    files: dict[str, Path] = {}
    for path in sorted(Path(folder).rglob("*.npz")):
        token = path.parent.name if path.name == "labels.npz" else path.stem
        if token in files:
            raise DataError(f"sample {token} has two predictions", found=f"{files[token]} and {path}")
        files[token] = path
    if not files:
        raise DataError(
            f"{folder} holds no predictions",
            expected="<scene>/<token>.npz, <token>.npz or <scene>/<token>/labels.npz",
        )
    return files


def _require_predictions(job: SavedPredictions, index: Frames, folder: Path) -> None:
    wanted = index.token.tolist()
    missing, unknown = [t for t in wanted if t not in job.files], sorted(set(job.files) - set(wanted))
    if missing:
        raise DataError(
            f"{folder} lacks predictions of {job.measured_on}",
            found=f"{len(missing)} of {len(wanted)} samples missing: {', '.join(missing[:_LISTED])}",
            fix="predict them, or name the split that was predicted",
        )
    if unknown:
        raise DataError(
            f"{folder} holds predictions of samples that are not in {job.measured_on}",
            found=f"{len(unknown)}: {', '.join(unknown[:_LISTED])}",
            fix="remove them, or name the split that was predicted",
        )


def _score_scenes(job: SavedPredictions, index: Frames, parts: Path, workers: int | None) -> list[EvaluationState]:
    """Counts of every scene, read from `parts` where they are there already.

    In the order of the scenes, not of the processes: sums of velocity errors depend on it in their last bit.
    """
    parts.mkdir(parents=True, exist_ok=True)
    scenes = range(len(index.scene_names))
    count = max(1, min(available_cpus() if workers is None else workers, len(scenes)))
    with tqdm(total=len(scenes), unit="scene", desc="scored") as bar, process_pool(count, "scores scenes") as pool:
        futures = [pool.submit(_score_scene, job, scene, parts) for scene in scenes]
        for future in as_completed(futures):
            _, warning = future.result()
            if warning:
                print_log(warning, logger="current", level=logging.WARNING)
            bar.update()
        return [future.result()[0] for future in futures]


def _score_scene(job: SavedPredictions, scene: int, parts: Path) -> tuple[EvaluationState, str | None]:
    """Counts of one scene, and a warning where predictions look turned."""
    torch.set_num_threads(1)  # there is a process for every CPU
    index, labels = job.opened()
    rows = index.frames_of(scene)
    name = str(index.scene_names[scene])
    path, key = parts / f"{name}.npz", _fingerprint(job, [job.files[t] for t in index.token[rows].tolist()])
    evaluator = OccupancyEvaluator(labels.space, labels.grid, job.metrics, job.mode)
    known = _read_part(path, key, evaluator)
    if known is not None:
        return known, None
    warning = None
    for row in rows:
        token = str(index.token[row])
        prediction = read_prediction(job.files[token], labels.grid, labels.space)
        truth = labels.load(job.root, index.name(row), training=False)
        occupancy = torch.from_numpy(truth.occupancy)
        targets = OccTargets(
            occupancy=occupancy[None],
            mask_camera=None if truth.mask_camera is None else torch.from_numpy(truth.mask_camera)[None],
            flow=None if truth.flow is None else torch.from_numpy(truth.flow)[None],
            ray_origins=(torch.from_numpy(index.ray_origins(row)),) if labels.frame == "ego" else None,
        )
        flow = None if prediction.flow is None else prediction.flow[None]
        evaluator.update(prediction.occupancy[None], targets, [token], flow)
        turn = turned(prediction.occupancy, occupancy, labels.space.free) if warning is None else None
        if turn is not None:
            warning = f"prediction {job.files[token]} fits the labels better {turn}: is it saved as [x, y, z]?"
    _write_part(path, key, evaluator.state())
    return evaluator.state(), warning


def _fingerprint(job: SavedPredictions, files: Sequence[Path]) -> str:
    """Changes when a prediction or what is measured changes."""
    facts = [job.root, job.version, job.split, job.labels, job.metrics, job.mode]
    facts += [(file, file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    return hashlib.sha256(repr(facts).encode()).hexdigest()


def _write_part(path: Path, key: str, state: EvaluationState) -> None:
    temporary = path.with_suffix(".tmp")
    with temporary.open("wb") as stream:
        np.savez(stream, key=key, tokens=np.array(state.tokens), **state.counts)  # type: ignore[arg-type]
    os.replace(temporary, path)


def _read_part(path: Path, key: str, evaluator: OccupancyEvaluator) -> EvaluationState | None:
    """Counts that an interrupted run has left; None where it has not come to this scene, or something has changed."""
    if not path.is_file():
        return None
    with np.load(path, allow_pickle=False) as part:
        if str(part["key"]) != key:
            return None
        counts = {name: part[name] for name in part.files if name not in ("key", "tokens")}
        return EvaluationState(evaluator.space, evaluator.mode, counts, part["tokens"].tolist())
