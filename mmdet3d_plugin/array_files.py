"""Damaged npz and npy files as numpy meets them: found by mutating bytes (tests/datasets/test_fuzz.py)."""

from __future__ import annotations

import tokenize
import zipfile
import zlib
from collections.abc import Mapping

import numpy as np

DAMAGED: tuple[type[Exception], ...] = (
    *(OSError, EOFError, zipfile.BadZipFile, zlib.error),  # missing, cut off, packed data changed
    *(ValueError, TypeError, KeyError, AttributeError, OverflowError),  # header of an array, or its size
    *(SyntaxError, tokenize.TokenError),  # numpy reads headers as Python literals
    *(NotImplementedError, RuntimeError, MemoryError),  # compression and encryption that no one wrote, absurd shapes
)


def member(archive: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    """An array of an open npz file.

    Raises:
        ValueError: it is no array: where a header is damaged, numpy hands out the bytes of the file instead.
        KeyError, ...: one of `DAMAGED`.
    """
    array = archive[name]
    if not isinstance(array, np.ndarray):
        raise ValueError(f"{name} is not an array")
    return array
