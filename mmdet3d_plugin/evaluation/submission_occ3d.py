"""Submissions of Occ3D labels: a zip file of `<token>.npz`, each `arr_0` uint8 [X, Y, Z] (spec/data/formats 4, 10)."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Collection, Iterable
from pathlib import Path

import numpy as np
from torch import Tensor

from ..errors import DataError, EvaluationError
from ..structures import OCC3D_NUSCENES, VoxelGrid
from .submission_files import ascending, check_tokens, replaced

_KEY, _SUFFIX = "arr_0", ".npz"


def packed_volume(token: str, occupancy: Tensor, grid: VoxelGrid) -> bytes:
    """The npz file of one prediction.

    Args:
        token: sample token, for messages.
        occupancy: [Z, Y, X] uint8 Occ3D label ids.
        grid: its grid.

    Raises:
        EvaluationError: the shape, the dtype or a label is wrong.
    """
    labels = np.ascontiguousarray(occupancy.cpu().numpy().T)
    check_volume(token, labels, grid)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, labels)  # its members carry no time
    return buffer.getvalue()


def write_occ3d(path: str | Path, frames: Iterable[tuple[str, bytes]]) -> None:
    """Write a submission; a reader sees the whole file or none, and equal input gives equal bytes.

    Frames are taken one at a time, and none is kept.

    Args:
        path: the zip file to write.
        frames: sample tokens in ascending order, each with what :func:`packed_volume` returns.

    Raises:
        EvaluationError: a sample comes twice or out of order, or the file cannot be written.
    """
    with replaced(Path(path)) as stream, zipfile.ZipFile(stream, "w") as archive:
        for token, content in ascending(frames):
            member = zipfile.ZipInfo(f"{token}{_SUFFIX}")  # of 1980, and not compressed a second time
            member.external_attr = 0o644 << 16  # unpacked files can be read
            archive.writestr(member, content)


def check_occ3d(path: str | Path, tokens: Collection[str], grid: VoxelGrid) -> None:
    """Require a submission that a server can score; complains of one thing at a time.

    Args:
        path: the zip file.
        tokens: expected samples.
        grid: grid of the labels.

    Raises:
        DataError: the zip or a file in it is missing or damaged.
        EvaluationError: a sample is missing, repeated or unknown, or its labels are wrong, see :func:`check_volume`.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            other = [name for name in names if "/" in name or not name.endswith(_SUFFIX)]
            if other:
                raise EvaluationError(
                    f"submission {path} holds what is no prediction",
                    found=other[0],
                    expected=f"<token>{_SUFFIX} and no folders",
                    fix="pack the files without the folder around them",
                )
            check_tokens(f"submission {path}", (name.removesuffix(_SUFFIX) for name in names), tokens)
            for token in sorted(tokens):
                check_volume(token, _unpacked(token, archive.read(f"{token}{_SUFFIX}")), grid)
    except FileNotFoundError as error:
        raise DataError(f"submission {path} does not exist") from error
    except (OSError, EOFError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(
            f"submission {path} cannot be read",
            found=error,
            expected="a zip file without a password",
            fix="write it again",
        ) from error


def check_volume(token: str, labels: np.ndarray, grid: VoxelGrid) -> None:
    """Require [X, Y, Z] uint8 Occ3D labels on a grid.

    Raises:
        EvaluationError: the dtype, the shape or a label is wrong; names the sample.
    """
    what = f"labels of sample {token}"
    if labels.dtype != np.uint8:
        raise EvaluationError(what, found=labels.dtype, expected="uint8", fix="cast them")
    if labels.shape != grid.shape:
        hint = "exchange the axes: the file is in [z, y, x] order" if labels.shape == grid.zyx else None
        raise EvaluationError(what, found=labels.shape, expected=f"{grid.shape}: [x, y, z]", fix=hint)
    if labels.max() >= OCC3D_NUSCENES.num_classes:
        raise EvaluationError(
            f"{what} are out of range",
            found=labels.max(),
            expected=f"0 to {OCC3D_NUSCENES.num_classes - 1} ({OCC3D_NUSCENES.name})",
            fix="predict this sample again",
        )


def _unpacked(token: str, content: bytes) -> np.ndarray:
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            if _KEY in arrays.files:
                return arrays[_KEY]
            found = arrays.files
    except (OSError, EOFError, ValueError, TypeError, AttributeError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(
            f"prediction of sample {token} cannot be read",
            found=error,
            expected="an npz archive of plain arrays",
            fix="predict this sample again",
        ) from error
    raise EvaluationError(
        f"prediction of sample {token} has no labels",
        found=found,
        expected=_KEY,
        fix="save it by numpy.savez_compressed(file, labels)",
    )
