"""Checkpoints on disk: written atomically by all processes together, the newest two kept.

    WORK_DIR/checkpoints/samples_000001600/model.pth    meta, and the weights to test with (averaged by EMA)
                                           trainer.pth  weights in training, optimiser, hooks, position
                                           rank_0.pth   random generators and stream of every process
    WORK_DIR/latest -> checkpoints/samples_000001600

A checkpoint is a directory that gets its name only when every file in it has reached the disk, so whatever
carries this name is complete. All files are readable with `torch.load(weights_only=True)`.
"""

from __future__ import annotations

import fcntl
import os
import pickle
import random
import shutil
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch

from ..errors import CheckpointError
from . import distributed

KEPT = 2
MODEL, TRAINER = "model.pth", "trainer.pth"
_PREFIX, _WRITING, _DELETING = "samples_", ".writing_", ".deleting_"


def rng_state() -> dict[str, Any]:
    """State of every random generator of this process, as tensors and plain numbers."""
    version, words, gauss = random.getstate()
    kind, keys, position, has_gauss, cached = np.random.get_state(legacy=True)
    return {
        "python": (version, list(words), gauss),
        "numpy": (
            kind,
            torch.from_numpy(np.asarray(keys, dtype=np.int64)),
            int(position),
            int(has_gauss),
            float(cached),
        ),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state() if torch.cuda.is_available() else None,
    }


def set_rng_state(state: dict[str, Any]) -> None:
    """Inverse of :func:`rng_state`."""
    version, words, gauss = state["python"]
    random.setstate((version, tuple(words), gauss))
    kind, keys, position, has_gauss, cached = state["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), position, has_gauss, cached))
    torch.set_rng_state(state["torch"].cpu())
    if state["cuda"] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"].cpu())


def claim(work_dir: Path) -> IO[str]:
    """Make sure that no other process trains into `work_dir` as long as the returned file is open.

    Raises:
        CheckpointError: another process does.
    """
    work_dir.mkdir(parents=True, exist_ok=True)
    file = open(work_dir / ".lock", "w")  # noqa: SIM115  # held until the process ends, however it ends
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        raise CheckpointError(
            f"another process is training into {work_dir}", fix="wait for it, end it, or choose another WORK_DIR"
        ) from error
    return file


def saved_checkpoints(work_dir: Path) -> list[Path]:
    """Directories of the complete checkpoints of a run, oldest first."""
    return sorted((work_dir / "checkpoints").glob(f"{_PREFIX}*"))


def resolve_checkpoint(path: str | Path) -> Path:
    """The file with the weights, given that file, a checkpoint directory, or the work directory of a run."""
    path = Path(path)
    if path.is_file():
        return path
    for candidate in (path / MODEL, path / "latest" / MODEL):
        if candidate.is_file():
            return candidate
    raise CheckpointError(
        f"no checkpoint at {path}",
        expected=f"a .pth or .safetensors file, a directory with {MODEL}, or a work directory with one in latest/",
    )


@contextmanager
def _interrupts_deferred() -> Iterator[None]:
    """Let Ctrl-C wait for the end of the block: in the middle of a write, torch turns it into another error."""
    if threading.current_thread() is not threading.main_thread():  # only the main thread is interrupted
        yield
        return
    received: list[int] = []
    previous = signal.signal(signal.SIGINT, lambda number, frame: received.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
    if received:
        signal.raise_signal(signal.SIGINT)


@_interrupts_deferred()
def save_checkpoint(work_dir: Path, samples: int, shared: dict[str, dict[str, Any]], own: dict[str, Any]) -> Path:
    """Write one checkpoint; called by all processes together. Ctrl-C takes effect when it is complete.

    Args:
        work_dir: directory of the run.
        samples: training samples seen, which names the checkpoint.
        shared: file name -> content, written by rank 0.
        own: content of this process's own file.

    Returns:
        the directory of the checkpoint.

    Raises:
        CheckpointError: on every process, when any process could not write; older checkpoints are untouched.
    """
    name = f"{_PREFIX}{samples:09d}"
    final, temporary = work_dir / "checkpoints" / name, work_dir / "checkpoints" / f"{_WRITING}{name}"
    files = {f"rank_{distributed.rank()}.pth": own, **(shared if distributed.rank() == 0 else {})}
    failure: str | None = None
    try:
        if distributed.rank() == 0:
            _remove_leftovers(work_dir)
            temporary.mkdir(parents=True)
    except OSError as error:
        failure = str(error)
    _raise_everywhere(failure, temporary, work_dir)
    try:
        for file_name, content in files.items():
            _write(temporary / file_name, content)
    except (OSError, RuntimeError) as error:  # torch reports a short write as a RuntimeError
        failure = str(error).splitlines()[0]
    _raise_everywhere(failure, temporary, work_dir)
    try:
        if distributed.rank() == 0:
            _commit(temporary, final, work_dir)
    except OSError as error:
        failure = str(error)
    _raise_everywhere(failure, temporary, work_dir)
    return final


def load_file(path: Path) -> dict[str, Any]:
    """Read one file of a checkpoint to the CPU, without executing code from it."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise CheckpointError(
            f"checkpoint file {path} cannot be read",
            found=str(error).splitlines()[0],
            fix="remove its directory to continue from the checkpoint before it",
        ) from error


def load_own_state(checkpoint: Path, processes: int) -> dict[str, Any]:
    """Random generators and temporal state of this process.

    Args:
        checkpoint: directory of the checkpoint.
        processes: how many wrote it. Where there is another number now, the streams are dealt out anew, lane
            by lane, and `rng` is None.
    """
    if processes == distributed.world_size():
        return load_file(checkpoint / f"rank_{distributed.rank()}.pth")
    streams = [load_file(checkpoint / f"rank_{i}.pth")["stream"] for i in range(processes)]
    return {"rng": None, "stream": {stage: _dealt([s[stage] for s in streams]) for stage in streams[0]}}


def _dealt(values: list[Any]) -> Any:
    """The lanes of this process, given what every process of the saved run remembered; None where it was nothing."""
    first = values[0]
    if isinstance(first, dict):
        return {key: _dealt([value[key] for value in values]) for key in first}
    if isinstance(first, torch.Tensor):
        return torch.cat(values).chunk(distributed.world_size())[distributed.rank()]
    return first  # the name of a class, or nothing


def _write(path: Path, content: dict[str, Any]) -> None:
    with open(path, "wb") as file:
        torch.save(content, file)
        file.flush()
        os.fsync(file.fileno())


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _commit(temporary: Path, final: Path, work_dir: Path) -> None:
    """Give a completely written checkpoint its name, point `latest` to it, drop the ones that are too old."""
    _sync_directory(temporary)
    _discard(final)
    os.replace(temporary, final)
    link = work_dir / ".latest"
    link.unlink(missing_ok=True)
    link.symlink_to(Path("checkpoints") / final.name, target_is_directory=True)
    os.replace(link, work_dir / "latest")
    _sync_directory(final.parent)
    _sync_directory(work_dir)
    for old in saved_checkpoints(work_dir)[:-KEPT]:
        _discard(old)


def _discard(checkpoint: Path) -> None:
    """Remove a checkpoint so that no half of it can ever be taken for a whole one."""
    if checkpoint.exists():
        doomed = checkpoint.with_name(_DELETING + checkpoint.name)
        os.replace(checkpoint, doomed)
        shutil.rmtree(doomed)


def _remove_leftovers(work_dir: Path) -> None:
    for prefix in (_WRITING, _DELETING):
        for path in (work_dir / "checkpoints").glob(f"{prefix}*"):
            shutil.rmtree(path)


def _raise_everywhere(failure: str | None, temporary: Path, work_dir: Path) -> None:
    failures = [f for f in distributed.all_gather(failure) if f is not None]
    if not failures:
        return
    if distributed.rank() == 0:
        shutil.rmtree(temporary, ignore_errors=True)
    kept = ", ".join(p.name for p in saved_checkpoints(work_dir)) or "none was written yet"
    raise CheckpointError(
        f"the checkpoint {temporary.name.removeprefix(_WRITING)} could not be written to {temporary.parent}",
        found=failures[0],
        expected=f"older checkpoints are untouched: {kept}",
        fix="free space (df -h) and start the same command again with --resume",
    )
