"""The labels of a split written as those of another annotation: in parallel, resumable, never over other files."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import as_completed
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ..errors import ConfigError, DataError
from ..parallel import available_cpus, process_pool
from ..structures import IGNORE, SURROUNDOCC
from .checks import find_root, require_label_files
from .index import KeyFrameIndex, load_split
from .labels import LabelSet, label_set
from .labels.convert import convert, require_convertible
from .synthetic.files import write_json, write_npy, write_npz

MARKER = "CONVERTED.json"
"""File in a folder of converted labels: what they were made of, so that nobody takes them for the original."""


@dataclass(frozen=True)
class Conversion:
    """What is converted.

    Attributes:
        root: folder of the data set.
        version: folder of its tables.
        split: "train", "val", ...
        source, target: names of the annotations, see `LABEL_SETS`.
        out: folder of the new labels, the `folder` of the target annotation.
    """

    root: Path
    version: str
    split: str
    source: str
    target: str
    out: Path

    def readers(self) -> tuple[LabelSet, LabelSet]:
        """Source and target annotation; the target lies in `out`."""
        return label_set(self.source), label_set(self.target, folder=str(self.out))

    def index(self) -> KeyFrameIndex:
        """Key frames of the split."""
        return load_split(self.root, self.version, self.split)


def convert_split(
    root: str | Path,
    out: str | Path,
    *,
    version: str,
    split: str,
    source: str,
    target: str,
    workers: int | None = None,
) -> int:
    """Write the labels of a split in the format of another annotation, see :func:`labels.convert.convert`.

    A run that was stopped goes on where it ended; several splits may go to one folder. What the source does not
    say is left unknown in the target: voxels outside of its grid are 255 and outside of both masks (Occ3D), 255
    (OpenOcc), or noise (SurroundOcc); flow has no label.

    Args:
        root: folder of the data set.
        out: folder for the labels.
        version: folder of the tables, for example "v1.0-trainval".
        split: "train", "val", ...
        source, target: names of the annotations, see `LABEL_SETS`.
        workers: processes; one for each CPU if None. Their number changes no file.

    Returns:
        number of key frames of the split, all converted.

    Raises:
        ConfigError: the annotations cannot be converted, or `out` holds other files.
        DataError: the data set or a label file is missing, or a file cannot be written.
    """
    if source == target:
        raise ConfigError("source and target annotation are the same", found=source)
    job = Conversion(find_root(root, version), version, split, source, target, Path(out).resolve())
    from_labels, to_labels = job.readers()
    require_convertible(from_labels, to_labels)
    index = job.index()
    require_label_files(from_labels, job.root, [index.name(row) for row in range(len(index))])
    _claim(job)
    scenes = range(len(index.scene_names))
    count = max(1, min(available_cpus() if workers is None else workers, len(scenes)))
    with tqdm(total=len(scenes), unit="scene", desc="converted") as bar, process_pool(count, "converts labels") as pool:
        for future in as_completed([pool.submit(_convert_scene, job, scene) for scene in scenes]):
            future.result()
            bar.update()
    return len(index)


def _claim(job: Conversion) -> None:
    """Mark the folder as ours, or find it marked by the same conversion."""
    marker = {"source": job.source, "target": job.target, "data_set": str(job.root), "version": job.version}
    path = job.out / MARKER
    if path.is_file():
        try:
            found = json.loads(path.read_text())
        except ValueError as error:
            raise DataError(f"{path} cannot be read", found=error, fix="delete the folder and convert again") from error
        if found != marker:
            raise ConfigError(
                f"{job.out} holds labels of another conversion",
                found=found,
                expected=marker,
                fix="choose another --out",
            )
        return
    if job.out.exists() and (not job.out.is_dir() or any(job.out.iterdir())):
        raise ConfigError(
            f"{job.out} is not empty and holds no converted labels",
            found=f"no {MARKER} in it",
            fix="choose another --out; labels are never mixed with other files",
        )
    write_json(path, marker, indent=2)


def _convert_scene(job: Conversion, scene: int) -> None:
    from_labels, to_labels = job.readers()
    index = job.index()
    for row in index.frames_of(scene):
        (path,) = to_labels.paths(job.root, index.name(row))
        if path.is_file():
            continue
        volume = from_labels.load(job.root, index.name(row), training=False)
        labels = convert(volume.occupancy, from_labels, to_labels, index.ego_from_lidar[row])
        _WRITERS[job.target](path, np.ascontiguousarray(labels.swapaxes(0, 2)))


def _write_occ3d(path: Path, labels: np.ndarray) -> None:
    known = (labels != IGNORE).astype(np.uint8)
    write_npz(path, semantics=labels, mask_lidar=known, mask_camera=known)


def _write_openocc(path: Path, labels: np.ndarray) -> None:
    write_npz(path, semantics=labels.astype(np.int32), flow=np.full((*labels.shape, 2), np.inf, np.float32))


def _write_surroundocc(path: Path, labels: np.ndarray) -> None:
    occupied = labels != SURROUNDOCC.free
    classes = np.where(labels[occupied] == IGNORE, 0, labels[occupied])
    write_npy(path, np.column_stack((np.argwhere(occupied), classes)).astype(np.int16))  # 3 MB; as int64 they were 11


_WRITERS: dict[str, Callable[[Path, np.ndarray], None]] = {
    "occ3d": _write_occ3d,
    "openocc": _write_openocc,
    "surroundocc": _write_surroundocc,
}
"""How labels [X, Y, Z] are written. OpenOccupancy is missing: no other annotation is fine enough for it."""
