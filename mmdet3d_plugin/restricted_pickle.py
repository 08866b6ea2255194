"""Reading pickles of numbers, text, containers and arrays without running anything that is in them.

A pickle is a program. Here it can name nothing but the few functions that numpy arrays and builtin containers are
made of, and each of these names is answered by a stand-in of ours. numpy's own functions are never handed what a
file says about memory: an array is made from bytes, a shape and the name of a plain number or text type.
"""

from __future__ import annotations

import gzip
import pickle
import re
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from .errors import DataError

_UNREADABLE = (
    *(EOFError, pickle.UnpicklingError),
    *(ValueError, TypeError, LookupError, AttributeError, RuntimeError, MemoryError, OverflowError),  # damaged bytes
)
_MAX_CODE_POINT = 0x10FFFF


def load_pickle(path: str | Path) -> Any:
    """Content of a pickle of any protocol, Python 2 or 3, numpy 1 or 2 (spec/data/formats section 9).

    Args:
        path: file.

    Returns:
        None, numbers, text, bytes, dict, list, tuple, set, frozenset, numpy arrays, scalars and dtypes, as they were
        pickled; arrays may be read-only. A file made to use up memory can do so.

    Raises:
        DataError: the file is missing or damaged, or refers to anything else, which is named.
    """
    try:
        with Path(path).open("rb") as stream:
            return unpickle(stream, f"pickle {path}")
    except OSError as error:
        raise DataError(f"pickle {path} cannot be read", found=error.strerror or error) from error


def unpickle(stream: IO[bytes] | gzip.GzipFile, name: str) -> Any:
    """Content of the next pickle of a stream, see :func:`load_pickle`.

    Args:
        stream: where to read.
        name: what is read, for messages.

    Raises:
        DataError: it is damaged, or refers to anything but containers and arrays.
        OSError: the stream cannot be read.
    """
    try:
        return _resolve(_Unpickler(stream, name).load(), {})
    except _UNREADABLE as error:
        raise DataError(
            f"{name} cannot be read",
            found=f"{type(error).__name__}: {error}",
            expected="a complete pickle of containers, numbers, text and numpy arrays",
            fix="copy or write it again",
        ) from error


class _StandIn:
    """Base of what answers to a global. A class, so that a pickle which sets its state meets a TypeError."""

    __hash__ = None  # type: ignore[assignment]  # never a key or an element, where it could not be resolved

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError(f"unexpected state {type(state).__name__}")


class _Dtype(_StandIn):
    """A type as a pickle names it. The state of numpy's own has sizes and flags that numpy would trust."""

    def __init__(self, code: str, *_: object):
        self._code, self._order = code, ""

    def __setstate__(self, state: tuple) -> None:
        self._order = state[1]

    @property
    def value(self) -> np.dtype:
        if self._code == "O8":
            return np.dtype(object)
        name = f"{self._order}{self._code}"
        if not re.fullmatch(r"[<>|=]?[biufcUS]\d+", name):
            raise ValueError(f"an array of type {name!r}")
        return np.dtype(name)


class _Array(_StandIn):
    """An array as a pickle describes it; its content comes last."""

    def __init__(self, *_: object):
        self.value = np.empty(0)

    def __setstate__(self, state: tuple) -> None:
        _, shape, dtype, fortran, content = state
        self.value = _array(content, dtype.value, shape, "F" if fortran else "C")


class _Buffer(_StandIn):
    """Stands for the function that makes an array of a buffer (pickle protocol 5)."""

    def __new__(cls, content: bytes, dtype: _Dtype, shape: Sequence[int], order: Any) -> Any:
        return _array(content, dtype.value, shape, order)


class _Scalar(_StandIn):
    """Stands for the function that makes a numpy scalar."""

    def __new__(cls, dtype: _Dtype, content: bytes) -> Any:
        return _array(content, dtype.value, (), "C")[()]


class _Encode(_StandIn):
    """Stands for `codecs.encode`, with which protocols below 3 write bytes."""

    def __new__(cls, text: str, encoding: str) -> Any:
        if encoding != "latin1":
            raise ValueError(f"bytes encoded as {encoding!r}")
        return text.encode("latin1")


class _NoBytes(_StandIn):
    """Stands for `bytes`, with which protocols below 3 write empty bytes."""

    def __new__(cls) -> Any:
        return b""


def _array(content: Any, dtype: np.dtype, shape: Sequence[int], order: Any) -> np.ndarray:
    count = int(np.prod(shape, dtype=object))
    if dtype.kind == "O":
        array = np.fromiter(content, dtype)
    elif dtype.itemsize and count:
        array = np.frombuffer(content, dtype)
        if dtype.kind == "U" and array.view(f"{dtype.str[0]}u4").max() > _MAX_CODE_POINT:
            raise ValueError("text with impossible characters")
    else:
        array = np.empty(count if not dtype.itemsize and count < 1 << 32 else 0, dtype)
    return array.reshape(shape, order=order)


_GLOBALS: dict[str, Any] = {
    **{
        f"{module}.{kind.__name__}": kind
        for module in ("builtins", "__builtin__")
        for kind in (dict, list, tuple, set, frozenset, complex)
    },
    "builtins.bytes": _NoBytes,
    "__builtin__.bytes": _NoBytes,
    "_codecs.encode": _Encode,
    "numpy.dtype": _Dtype,
    "numpy.ndarray": _Array,
    **{f"numpy.{core}.multiarray._reconstruct": _Array for core in ("core", "_core")},
    **{f"numpy.{core}.multiarray.scalar": _Scalar for core in ("core", "_core")},
    **{f"numpy.{core}.numeric._frombuffer": _Buffer for core in ("core", "_core")},
}


class _Unpickler(pickle.Unpickler):
    def __init__(self, stream: IO[bytes] | gzip.GzipFile, name: str):
        super().__init__(stream)
        self._name = name

    def find_class(self, module: str, name: str) -> Any:
        known = f"{module}.{name}"
        if known not in _GLOBALS:
            raise DataError(
                f"{self._name} refers to something that is neither a container nor an array",
                found=known,
                expected="numpy arrays, scalars and dtypes, and builtin containers",
                fix="do not load it otherwise if you do not trust its source; write it again from plain values",
            )
        return _GLOBALS[known]


def _resolve(value: Any, done: dict[int, tuple[Any, Any]]) -> Any:
    """The value with every stand-in replaced by what it stands for; dicts, lists and arrays are changed in place.

    Args:
        value: part of what was unpickled.
        done: (part, result) of the containers met so far, by identity; keeps them alive, so that ids stay unique.
    """
    if isinstance(value, (_Array, _Dtype)):
        value = value.value
    elif isinstance(value, _StandIn) or (isinstance(value, type) and issubclass(value, _StandIn)):
        raise ValueError("a function in place of a value")
    if not isinstance(value, (dict, list, tuple)) and not (isinstance(value, np.ndarray) and value.dtype.kind == "O"):
        return value
    if id(value) in done:
        return done[id(value)][1]
    if isinstance(value, tuple):
        items = [_resolve(item, done) for item in value]
        result: Any = value if all(new is old for new, old in zip(items, value)) else tuple(items)
        done[id(value)] = value, result
        return result
    done[id(value)] = value, value
    places: Any = value.flat if isinstance(value, np.ndarray) else value
    for place, item in list(value.items() if isinstance(value, dict) else enumerate(places)):
        places[place] = _resolve(item, done)
    return value
