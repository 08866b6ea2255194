"""Pickles of dictionaries and arrays: written piece by piece, read without running anything that is in them."""

from __future__ import annotations

import gzip
import pickle
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

from ..errors import DataError

_PROTOCOL = 4  # read by every Python since 3.4
_UNREADABLE = (
    *(OSError, EOFError, zlib.error, pickle.UnpicklingError),
    *(ValueError, TypeError, LookupError, AttributeError, RuntimeError, MemoryError, OverflowError),  # damaged bytes
)


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
            content = _Unpickler(stream, path).load()
            rest = len(stream.read(1))  # the checksum is compared at the end of the file
    except FileNotFoundError as error:
        raise DataError(f"submission {path} does not exist") from error
    except _UNREADABLE as error:
        raise DataError(
            f"submission {path} cannot be read",
            found=f"{type(error).__name__}: {error}",
            expected="a gzip-compressed pickle of dictionaries and arrays",
            fix="write it again",
        ) from error
    if rest or not isinstance(content, dict):
        found = "more bytes behind the pickle" if rest else type(content).__name__
        raise DataError(f"submission {path}", found=found, expected="one pickled dictionary")
    results = content.get("results")
    for fields in results.values() if isinstance(results, dict) else ():
        if isinstance(fields, dict):
            fields.update({name: value.value for name, value in fields.items() if isinstance(value, _Array)})
    return content


class _Pickler(pickle.Pickler):
    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, Items):
            return dict, (), None, None, value.items
        if isinstance(value, np.ndarray):
            # numpy 2 would refer to `numpy._core`, which the numpy 1 of a server need not have.
            return np.ndarray, ((0,), "b"), value.__reduce__()[2]
        return NotImplemented


class _Dtype:
    """A number type as a pickle names it. The state of numpy's own has sizes and flags that numpy would trust."""

    def __init__(self, code: str, *_: object):
        self._name = code

    def __setstate__(self, state: tuple) -> None:
        self._name = f"{state[1]}{self._name}"

    def plain(self) -> np.dtype:
        if not re.fullmatch(r"[<>|=]?[biufc]\d+", self._name):
            raise ValueError(f"an array of type {self._name!r}")
        return np.dtype(self._name)


class _Array:
    """An array as a pickle describes it; its content comes last."""

    def __init__(self, *_: object):
        self.value = np.empty(0)

    def __setstate__(self, state: tuple) -> None:
        _, shape, dtype, fortran, data = state
        self.value = _from_bytes(data, dtype, shape, "F" if fortran else "C").value


def _from_bytes(data: bytes, dtype: _Dtype, shape: tuple[int, ...], order: Any) -> _Array:
    array = _Array()
    array.value = np.frombuffer(data, dtype.plain()).reshape(shape, order=order)
    return array


# Names of what makes arrays and dictionaries, with our stand-ins; numpy 2 has renamed its `core`.
_GLOBALS: dict[str, Any] = {
    "builtins.dict": dict,
    "numpy.dtype": _Dtype,
    "numpy.ndarray": _Array,
    **{f"numpy.{core}.multiarray._reconstruct": _Array for core in ("core", "_core")},
    **{f"numpy.{core}.numeric._frombuffer": _from_bytes for core in ("core", "_core")},
}


class _Unpickler(pickle.Unpickler):
    def __init__(self, stream: gzip.GzipFile, path: str | Path):
        super().__init__(stream)
        self._path = path

    def find_class(self, module: str, name: str) -> Any:
        known = f"{module}.{name}"
        if known not in _GLOBALS:
            raise DataError(
                f"submission {self._path} refers to something that is neither a dictionary nor an array",
                found=known,
                expected=" or ".join(_GLOBALS),
                fix="do not load it otherwise; write it from numpy arrays and text, with pickle protocol 3 or above",
            )
        return _GLOBALS[known]
