"""Writing files so that an interrupted run never leaves a half-written one."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from ...errors import DataError


def write_atomic(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file under a temporary name and rename it when it is complete.

    Raises:
        DataError: the disk is full or the folder cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            write(file)
        temporary.replace(path)
    except OSError as error:
        if temporary.exists():
            temporary.unlink()
        raise DataError(
            f"cannot write {path}",
            found=error.strerror or str(error),
            fix="free disk space or fix the permissions, then run the same command again; finished frames are kept",
        ) from error


def write_json(path: Path, value: Any, indent: int | None = None) -> None:
    """Write JSON; the same value gives the same bytes."""
    write_atomic(path, lambda file: file.write(json.dumps(value, indent=indent).encode()))


def write_jpeg(path: Path, rgb: np.ndarray) -> None:
    """Write [H, W, 3] uint8 as a JPEG of quality 90."""
    write_atomic(path, lambda file: Image.fromarray(rgb).save(file, "JPEG", quality=90))


def write_png(path: Path, rgb: np.ndarray) -> None:
    """Write [H, W, 3] uint8 as a PNG."""
    write_atomic(path, lambda file: Image.fromarray(rgb).save(file, "PNG"))


def write_raw(path: Path, array: np.ndarray) -> None:
    """Write the bytes of an array, little endian, without a header."""
    write_atomic(path, lambda file: file.write(np.ascontiguousarray(array).tobytes()))


def write_npy(path: Path, array: np.ndarray) -> None:
    """Write one array as .npy."""
    write_atomic(path, lambda file: np.save(file, array))


def write_npz(path: Path, **arrays: np.ndarray) -> None:
    """Write arrays as a compressed .npz; equal arrays give equal bytes."""
    write_atomic(path, lambda file: np.savez_compressed(file, **arrays))
