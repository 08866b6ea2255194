"""Compiling functions with Numba, and keeping the machine code on disk for as long as it is right."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba

_DIGITS = 16


def compiled(**options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorator: compile on the first call, and keep the machine code where a cache folder is writable.

    Numba takes machine code from its cache as long as the file of the function is what it was, also when a function
    that it calls has changed in another file. Here the cache folder is named after all sources beside the function,
    so that a change of any of them compiles anew. Functions may call compiled functions of their own folder only.

    A function for which nothing is said about `fastmath` inherits it from the function that happens to call it first,
    and keeps it on disk: other programs would then get other last bits. Here it is off unless asked for.

    Args:
        options: of `numba.njit`.
    """
    options = {"fastmath": False, "error_model": "python", **options}

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        folder = Path(function.__code__.co_filename).resolve().parent
        kept = numba.config.CACHE_DIR
        base = Path(kept) if kept else folder / "__pycache__"
        numba.config.CACHE_DIR = str(base / f"numba-{_digest(folder)}")
        try:
            return numba.njit(cache=True, **options)(function)
        except RuntimeError:  # numba found no folder that it may write to
            return numba.njit(**options)(function)
        finally:
            numba.config.CACHE_DIR = kept

    return decorate


@functools.cache
def _digest(folder: Path) -> str:
    """Of the names and contents of all sources of a folder."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:_DIGITS]
