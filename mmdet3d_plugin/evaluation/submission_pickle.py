"""Pickles of dictionaries and arrays: written piece by piece, read without running anything that is in them."""

from __future__ import annotations

import gzip
import pickle
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

from ..errors import DataError
from ..restricted_pickle import unpickle

_PROTOCOL = 4  # read by every Python since 3.4


class Items:
    """Stands for a dictionary whose items are made while it is pickled.

    Args:
        items: pairs of key and value.
    """

    def __init__(self, items: Iterator[tuple[str, Any]]):
        self.items = items


def dump(content: dict[str, Any], stream: IO[bytes] | gzip.GzipFile) -> None:
    """Pickle a dictionary; any Python with numpy reads it, and equal content is equal bytes.

    Args:
        content: text, lists, arrays and dictionaries, or :class:`Items`, which are taken one at a time and not kept.
        stream: what to write to.
    """
    pickler = _Pickler(stream, _PROTOCOL)
    pickler.fast = True  # without its memory, which would keep every array, and in which shared objects show
    pickler.dump(content)


def load(path: str | Path) -> dict[str, Any]:
    """Read a gzip-compressed pickle of `{...: ..., "results": {token: {field: array}}}`, of whatever program.

    It may refer to what arrays are made of and to nothing else. numpy is not told what a pickle says about memory
    either: arrays are made from bytes, a shape and the name of a number type. Memory holds the whole content, 0.8 MB
    for a sample of eight ray origins; a file made to use up memory can do so.

    Returns:
        the dictionary as it is in the file; arrays of "results" may be read-only.

    Raises:
        DataError: the file is missing, damaged or no dictionary, or refers to another global, which is named.
    """
    try:
        with gzip.open(path) as stream:
            content = unpickle(stream, f"submission {path}")
            rest = len(stream.read(1))  # the checksum is compared at the end of the file
    except FileNotFoundError as error:
        raise DataError(f"submission {path} does not exist") from error
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            f"submission {path} cannot be read",
            found=f"{type(error).__name__}: {error}",
            expected="a gzip-compressed pickle of dictionaries and arrays",
            fix="write it again",
        ) from error
    if rest or not isinstance(content, dict):
        found = "more bytes behind the pickle" if rest else type(content).__name__
        raise DataError(f"submission {path}", found=found, expected="one pickled dictionary")
    return content


class _Pickler(pickle.Pickler):
    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, Items):
            return dict, (), None, None, value.items
        if isinstance(value, np.ndarray):
            # numpy 2 would refer to `numpy._core`, which the numpy 1 of a server need not have.
            return np.ndarray, ((0,), "b"), value.__reduce__()[2]
        return NotImplemented
