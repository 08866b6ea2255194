"""Tables of columns on disk: made once, mapped into memory, shared by all processes that read them."""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import json
import logging
import os
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import platformdirs

from ..array_files import DAMAGED
from ..errors import DataError

try:
    import fcntl
except ImportError:  # no such thing on Windows, where processes may then do the same work at the same time
    fcntl = None  # type: ignore[assignment]

FORMAT = 1
"""Version of the files and of what is in them; to be raised when the columns of the same sources change."""
FOLDER = ".occstudio"
"""Where it is kept in the root of a data set that can be written."""
_MANIFEST = "columns.json"
_LOG = logging.getLogger(__name__)

Table = TypeVar("Table")


def cached(kind: type[Table], root: Path, name: str, sources: Sequence[Path], build: Callable[[], Table]) -> Table:
    """A table of columns: mapped read-only from disk if it was made of the same sources before, else made now.

    It is kept below the root of the data set, or in the user's cache where that cannot be written; several processes
    may ask at once, and one of them makes it. A table that is older than its sources, or damaged, is made again, which
    is logged. Where nothing can be written the table stays in the memory of this process, which is logged as well.

    Args:
        kind: frozen dataclass whose fields are arrays without objects.
        root: absolute folder of the data set.
        name: of the table, unique in the data set.
        sources: files that it is made of; their names, sizes and times of change identify it.
        build: makes it.

    Raises:
        whatever `build` raises.
    """
    key = fingerprint([FORMAT, _names(kind)], sources)
    folders = [path / name for path in _folders(root)]
    for path in folders:
        found = _find(kind, path / key)
        if found is not None:
            return found
    folder = next((path for path in folders if _writable(path)), None)
    if folder is None:
        _LOG.warning("neither %s can be written: the index is made at every start", " nor ".join(map(str, folders)))
        return build()
    with _lock(folder):
        found = _find(kind, folder / key)  # by another process in the meantime
        if found is not None:
            return found
        stale = [path for path in folder.iterdir() if path.is_dir() and path.name != key]
        _LOG.log(
            logging.WARNING if stale else logging.INFO,
            "index %s %s; this is done once",
            folder / key,
            "is made again: its sources have changed, or the format" if stale else "is made",
        )
        table = build()
        return _keep(kind, table, folder / key, stale)


def _folders(root: Path) -> tuple[Path, Path]:
    own = hashlib.sha256(str(root).encode()).hexdigest()[:16]
    return root / FOLDER, Path(platformdirs.user_cache_dir("occstudio")) / own


def fingerprint(facts: Any, sources: Sequence[Path]) -> str:
    """Identifies what is made of files: 16 hexadecimal digits of their names, sizes and times of change.

    A missing file is left to whoever reads it to complain about.

    Args:
        facts: what else it depends on, as JSON can hold it.
        sources: the files.
    """
    stats = [(path.name, path.stat() if path.exists() else None) for path in sources]
    content = json.dumps([facts, [(name, stat and (stat.st_size, stat.st_mtime_ns)) for name, stat in stats]])
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def _names(kind: Any) -> list[str]:
    return [field.name for field in dataclasses.fields(kind)]


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        _LOG.info("no index in %s: %s", folder, error)
        return False
    return os.access(folder, os.W_OK)


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """One process at a time; a file system without locks lets several through, and the last one wins."""
    with ExitStack() as stack:
        try:
            file = stack.enter_context((folder / "lock").open("a"))
            if fcntl is not None:
                fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:
            _LOG.info("no lock in %s: %s", folder, error)
        yield


def _find(kind: type[Table], entry: Path) -> Table | None:
    if not entry.is_dir():
        return None
    try:
        return open_columns(kind, entry)
    except DataError as error:
        _LOG.warning("index %s is damaged and made again: %s", entry, error)
        return None


def _keep(kind: type[Table], table: Table, entry: Path, stale: list[Path]) -> Table:
    try:
        write_columns(table, entry)
        for old in stale:
            shutil.rmtree(old)
    except OSError as error:
        _LOG.warning("index %s cannot be written and is made again at the next start: %s", entry, error)
    return _find(kind, entry) or table


def write_columns(table: Any, entry: Path) -> None:
    """Write a table; whoever looks sees nothing or all of it.

    Args:
        table: dataclass of arrays.
        entry: folder to make; one that is there is replaced.

    Raises:
        OSError: the disk is full, or the folder above cannot be written.
    """
    with tempfile.TemporaryDirectory(prefix=".", dir=entry.parent, ignore_cleanup_errors=True) as temporary:
        new, old = Path(temporary) / "new", Path(temporary) / "old"
        new.mkdir()
        sums = {}
        for name in _names(table):
            array = np.ascontiguousarray(getattr(table, name))
            np.save(new / f"{name}.npy", array, allow_pickle=False)
            sums[name] = _checksum(array)
        (new / _MANIFEST).write_text(json.dumps({"format": FORMAT, "crc32": sums}, indent=1))
        try:
            new.replace(entry)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            entry.replace(old)
            new.replace(entry)


def open_columns(kind: type[Table], entry: Path) -> Table:
    """Map a table that `write_columns` has written; its pages are shared with every process that maps it.

    Args:
        kind: dataclass of arrays.
        entry: its folder.

    Raises:
        DataError: a column is missing, or has other bytes than were written.
    """
    try:
        manifest = json.loads((entry / _MANIFEST).read_text())
        columns = {
            name: np.load(entry / f"{name}.npy", mmap_mode="r", allow_pickle=False).view(np.ndarray)
            for name in _names(kind)
        }
        wrong = [name for name, array in columns.items() if manifest["crc32"][name] != _checksum(array)]
    except DAMAGED as error:
        raise DataError(f"index {entry} cannot be read", found=f"{type(error).__name__}: {error}") from error
    if wrong:
        raise DataError(f"column {wrong[0]} of index {entry} has changed since it was written")
    return kind(**columns)


def _checksum(array: np.ndarray) -> int:
    header = f"{array.dtype.str}{array.shape}".encode()
    return zlib.crc32(array.reshape(-1).view(np.uint8).data, zlib.crc32(header))
