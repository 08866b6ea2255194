"""Classes of lidar points as the published stack reads them: one npz for each sweep (spec/data/formats section 8)."""

from __future__ import annotations

from concurrent.futures import as_completed
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ..errors import DataError
from ..parallel import available_cpus, process_pool
from ..structures import OCC3D_NUSCENES
from .checks import find_root
from .files import read_point_classes
from .index import load_index
from .labels.lidarseg import PointClasses
from .synthetic.files import write_npz

_SWEEPS = 64  # of a piece of work
_POINT = 20  # bytes: x, y, z, intensity, ring


def extract_point_classes(
    root: str | Path, out_dir: str | Path, version: str, workers: int | None = None, progress: bool = True
) -> int:
    """Write `<out_dir>/<stem>.npz` for the sweep of every key frame; `stem` is its file name up to the first dot.

    Its array `lidar_seg` is [P, 1] int64, one of the 17 classes 0 - 16 for each row of the sweep. What is there
    already is kept, so a run that was stopped goes on where it ended.

    Args:
        root: folder of the data set.
        out_dir: folder for the files; the published stack looks beside the data set, in data/lidar_seg.
        version: folder of the tables.
        workers: processes; one for each CPU if None. Their number changes no file.
        progress: show a progress bar.

    Returns:
        number of key frames, all of them written.

    Raises:
        DataError: the data set has no lidarseg, a sweep and its classes do not fit, or a file cannot be written.
    """
    folder, out = find_root(root, version), Path(out_dir)
    files = load_index(folder, version).lidar_file.tolist()
    tokens = load_index(folder, version).lidar_token
    classes = PointClasses(folder, version, tokens, OCC3D_NUSCENES)
    targets = [out / f"{Path(file).name.split('.', 1)[0]}.npz" for file in files]
    todo = [row for row, target in enumerate(targets) if not target.is_file()]
    pieces = [
        [(folder / files[row], folder / str(classes.files[row]), targets[row]) for row in todo[start : start + _SWEEPS]]
        for start in range(0, len(todo), _SWEEPS)
    ]
    count = max(1, min(available_cpus() if workers is None else workers, len(pieces)))
    with (
        tqdm(total=len(files), initial=len(files) - len(todo), unit="sweep", disable=not progress) as bar,
        process_pool(count, "writes point classes") as pool,
    ):
        for future in as_completed([pool.submit(_write, classes.table, piece) for piece in pieces]):
            bar.update(future.result())
    return len(files)


def _write(table: np.ndarray, piece: list[tuple[Path, Path, Path]]) -> int:
    """Write the (sweep, lidarseg file, npz) of a piece of work; returns their number."""
    for sweep, segments, target in piece:
        ids = read_point_classes(segments, _count(sweep))
        write_npz(target, lidar_seg=table[ids].astype(np.int64)[:, None])
    return len(piece)


def _count(sweep: Path) -> int:
    """Points of a sweep, by its size and without reading it."""
    try:
        size = sweep.stat().st_size
    except OSError as error:
        raise DataError(f"lidar file {sweep} cannot be read", found=error.strerror) from error
    if size % _POINT:
        raise DataError(f"lidar file {sweep} is truncated", found=f"{size} bytes", expected=f"a multiple of {_POINT}")
    return size // _POINT
