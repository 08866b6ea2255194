"""What numpy raises while it reads a damaged npz or npy file: found by mutating bytes (tests/datasets/test_fuzz.py)."""

from __future__ import annotations

import tokenize
import zipfile
import zlib

DAMAGED: tuple[type[Exception], ...] = (
    *(OSError, EOFError, zipfile.BadZipFile, zlib.error),  # missing, cut off, packed data changed
    *(ValueError, TypeError, KeyError, AttributeError, OverflowError),  # header of an array, or its size
    *(SyntaxError, tokenize.TokenError),  # numpy reads headers as Python literals
    *(NotImplementedError, RuntimeError, MemoryError),  # compression and encryption that no one wrote, absurd shapes
)
