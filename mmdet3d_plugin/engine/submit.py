"""Submissions to challenge servers from a folder of saved predictions: no model, no labels, any number of processes."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
import torch
from mmengine.logging import print_log
from tqdm import tqdm

from ..datasets.checks import find_root
from ..datasets.index import KeyFrameIndex, load_split
from ..datasets.labels import LabelSet, label_set
from ..errors import ConfigError, EvaluationError, OccStudioError, closest
from ..evaluation import SavedPrediction, read_prediction
from ..evaluation.submission import Entrant, SubmittedRays, check_openocc, submitted_rays, write_openocc
from ..evaluation.submission_files import check_tokens
from ..evaluation.submission_occ3d import check_occ3d, packed_volume, write_occ3d
from ..parallel import available_cpus, process_pool
from .offline import find_predictions

Format = Literal["openocc", "occ3d"]
FORMATS: tuple[Format, ...] = ("openocc", "occ3d")
"""Submission formats; each is of the annotation of the same name."""
_AHEAD = 2  # samples of each process that may wait for the writer
Content = TypeVar("Content")


def write_submission(
    predictions: str | Path,
    root: str | Path,
    out: str | Path,
    *,
    format: Format,
    version: str,
    split: str = "val",
    entrant: Entrant | None = None,
    workers: int | None = None,
) -> int:
    """Write the saved predictions of every key frame of a split as a submission.

    Tables and poses of the data set are read, labels are not. Equal predictions give equal bytes, whatever the number
    of processes.

    Args:
        predictions: folder, see `find_predictions`; with flow for "openocc".
        root: folder of the data set.
        out: the file to write.
        format: "openocc" (rays in a gzip-compressed pickle) or "occ3d" (volumes in a zip file).
        version: folder of the tables, for example "v1.0-test".
        split: "train", "val", "test", ...
        entrant: head of an "openocc" file, empty by default; "occ3d" files have none.
        workers: processes; one for each CPU if None.

    Returns:
        number of samples.

    Raises:
        ConfigError: there is no such format or split, or the format has no head.
        DataError: files are missing or broken.
        EvaluationError: samples are missing or unknown, a prediction does not fit the format, or `out` cannot be
            written.
    """
    _require_format(format)
    if entrant is not None and format != "openocc":
        raise ConfigError(f"{format} submissions do not name who submits", found=entrant, fix="leave it out")
    files, index = find_predictions(predictions), load_split(find_root(root, version), version, split)
    rows = _rows(index)
    check_tokens(f"folder {predictions} for the split {split!r} of {version}", files, rows)
    count = max(1, min(available_cpus() if workers is None else workers, len(rows)))
    with process_pool(count, "packs a submission") as pool, tqdm(total=len(rows), unit="sample", desc="packed") as bar:
        if format == "openocc":
            work = ((token, files[token], index.ray_origins(row)) for token, row in rows.items())
            write_openocc(out, _head(entrant), _in_order(pool, _rays, work, count * _AHEAD, bar))
        else:
            volumes = ((token, files[token]) for token in rows)
            write_occ3d(out, _in_order(pool, _volume, volumes, count * _AHEAD, bar))
    return len(rows)


def check_submission(file: str | Path, root: str | Path, *, format: Format, version: str, split: str = "val") -> int:
    """Require a submission that is complete for a split and that a server can score.

    Args:
        file: the submission, by whatever program.
        root, format, version, split: as :func:`write_submission` takes them.

    Returns:
        number of samples.

    Raises:
        ConfigError: there is no such format or split.
        DataError: the file is missing or broken, or a pickle that refers to more than arrays.
        EvaluationError: samples are missing, repeated or unknown, or the content of one does not fit the format.
    """
    _require_format(format)
    index = load_split(find_root(root, version), version, split)
    rows = _rows(index)
    if format == "openocc":
        check_openocc(file, {token: len(index.ray_origins(row)) for token, row in rows.items()})
    else:
        check_occ3d(file, list(rows), label_set(format).grid)
    return len(rows)


def _require_format(name: str) -> None:
    if name not in FORMATS:
        raise ConfigError(f"no submission format {name!r}", expected=closest(name, FORMATS))


def _rows(index: KeyFrameIndex) -> dict[str, int]:
    """Row of every sample, by token in ascending order."""
    return dict(sorted((token, row) for row, token in enumerate(index.token.tolist())))


def _head(entrant: Entrant | None) -> Entrant:
    head = Entrant() if entrant is None else entrant
    empty = [name for name, value in head.header().items() if not value]
    if empty:
        message = f"the submission leaves empty: {', '.join(empty)}; the challenge lists them"
        print_log(message, logger="current", level=logging.WARNING)
    return head


def _in_order(
    pool: Executor, pack: Callable[..., Content], work: Iterable[tuple], ahead: int, bar: tqdm
) -> Iterator[tuple[str, Content]]:
    """Tokens and what `pack` makes of each piece of work; memory holds a few of them, not all."""
    waiting: deque[tuple[str, Future[Content]]] = deque()

    def finished() -> tuple[str, Content]:
        token, future = waiting.popleft()
        content = future.result()
        bar.update()
        return token, content

    for piece in work:
        waiting.append((piece[0], pool.submit(pack, *piece)))
        if len(waiting) > ahead:
            yield finished()
    while waiting:
        yield finished()


@contextmanager
def _named(file: Path) -> Iterator[None]:
    """Errors begin with the file, which names the sample in every layout of a folder."""
    try:
        yield
    except OccStudioError as error:
        raise type(error)(f"{file}: {error}") from error


def _read(file: Path, labels: LabelSet) -> SavedPrediction:
    torch.set_num_threads(1)  # there is a process for every CPU
    return read_prediction(file, labels.grid, labels.space)


def _rays(token: str, file: Path, origins: np.ndarray) -> SubmittedRays:
    labels = label_set("openocc")
    with _named(file):
        prediction = _read(file, labels)
        if prediction.flow is None:
            raise EvaluationError(
                f"prediction of sample {token} has no flow",
                expected="velocity [x, y, z, 2] in m/s under `flow`",
                fix="save it with the labels, zeros where nothing is known",
            )
        return submitted_rays(token, prediction.occupancy, prediction.flow, torch.tensor(origins), labels.grid)


def _volume(token: str, file: Path) -> bytes:
    labels = label_set("occ3d")
    with _named(file):
        return packed_volume(token, _read(file, labels).occupancy, labels.grid)
