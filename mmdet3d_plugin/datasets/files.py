"""Reading the binary files of a sample; a bad one is a DataError that names the path."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from ..array_files import DAMAGED
from ..errors import DataError

try:
    import simplejpeg
except ImportError:
    simplejpeg = None

_END_OF_IMAGE = b"\xff\xd9"


def read_bytes(path: Path) -> bytes:
    """Content of a file.

    Raises:
        DataError: the file is missing or cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(
            f"file {path} cannot be read",
            found=error.strerror,
            fix="check that the data set was unpacked completely",
        ) from error


def read_jpeg(path: Path, size: tuple[int, int], reduction: int = 1) -> np.ndarray:
    """Decode a JPEG, optionally at 1/2, 1/4 or 1/8 of its size, which costs a fraction of the time.

    A reduced pixel is the mean of the `reduction` x `reduction` pixels it covers (the DCT is scaled), so
    pixel coordinates scale exactly about the corner of the image. Decoded by simplejpeg where installed, else
    by OpenCV.

    Args:
        path: file.
        size: (width, height) that the tables promise.
        reduction: 1, 2, 4 or 8.

    Returns:
        [ceil(height / reduction), ceil(width / reduction), 3] uint8 RGB.

    Raises:
        DataError: the file is missing, no complete JPEG, or of another size.
    """
    width, height = -(-size[0] // reduction), -(-size[1] // reduction)
    data = _complete_jpeg(path)
    try:
        if simplejpeg is not None:
            image = simplejpeg.decode_jpeg(data, "RGB", min_height=height, min_width=width)
        else:
            image = _decode_opencv(data, reduction)
    except (ValueError, cv2.error) as error:
        raise _corrupt(path, error) from error
    if image.shape[:2] != (height, width):
        raise _wrong_size(path, data, size)
    return image


def read_jpeg_pillow(path: Path, size: tuple[int, int]) -> Image.Image:
    """Decode a JPEG with Pillow, as the published pipeline did.

    Raises:
        DataError: as :func:`read_jpeg`.
    """
    data = _complete_jpeg(path)
    try:
        image = Image.open(io.BytesIO(data)).convert("RGB")
    except (OSError, ValueError) as error:
        raise _corrupt(path, error) from error
    if image.size != size:
        raise _wrong_size(path, data, size)
    return image


def _complete_jpeg(path: Path) -> bytes:
    """Bytes of a JPEG with its end marker; decoders fill what a truncated file lacks with grey."""
    data = read_bytes(path)
    if _END_OF_IMAGE not in data[-64:]:
        raise _corrupt(path, f"{len(data)} bytes without the end marker of a JPEG")
    return data


def _wrong_size(path: Path, data: bytes, size: tuple[int, int]) -> DataError:
    width, height = Image.open(io.BytesIO(data)).size
    return DataError(
        f"image {path} has another size than its sample_data record promises",
        found=f"{width} x {height}",
        expected=f"{size[0]} x {size[1]}",
    )


def _decode_opencv(data: bytes, reduction: int) -> np.ndarray:
    flags = {
        1: cv2.IMREAD_COLOR,
        2: cv2.IMREAD_REDUCED_COLOR_2,
        4: cv2.IMREAD_REDUCED_COLOR_4,
        8: cv2.IMREAD_REDUCED_COLOR_8,
    }
    image = cv2.imdecode(np.frombuffer(data, np.uint8), flags[reduction] | cv2.IMREAD_IGNORE_ORIENTATION)
    if image is None:
        raise ValueError("OpenCV cannot decode it")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def _corrupt(path: Path, found: object) -> DataError:
    return DataError(f"image {path} is corrupt", found=found, fix="copy it again from the data set archive")


def read_npz(path: Path, keys: Sequence[str]) -> dict[str, np.ndarray]:
    """Arrays of an npz file.

    Raises:
        DataError: the file is missing, truncated, or lacks a key.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            missing = [key for key in keys if key not in archive]
            if missing:
                raise DataError(
                    f"{path} has no array {missing[0]!r}", found=sorted(archive.keys()), expected=list(keys)
                )
            return {key: archive[key] for key in keys}
    except DAMAGED as error:
        raise _unreadable(path, error) from error


def read_npy(path: Path) -> np.ndarray:
    """An array of an npy file.

    Raises:
        DataError: the file is missing or truncated.
    """
    try:
        return np.load(path, allow_pickle=False)
    except DAMAGED as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> DataError:
    found = "no such file" if isinstance(error, FileNotFoundError) else f"{type(error).__name__}: {error}"
    return DataError(
        f"label file {path} cannot be read",
        found=found,
        fix="copy it again, or remove its scene from the split",
    )


def read_points(path: Path) -> np.ndarray:
    """A LIDAR_TOP sweep (spec/data/formats section 2): [P, 5] float32 (x, y, z, intensity, ring) in metres.

    Raises:
        DataError: the file is missing or truncated.
    """
    data = read_bytes(path)
    if not data or len(data) % 20:
        raise DataError(
            f"lidar file {path} is truncated", found=f"{len(data)} bytes", expected="a multiple of 20 bytes"
        )
    return np.frombuffer(data, dtype="<f4").reshape(-1, 5)


def read_point_classes(path: Path, count: int) -> np.ndarray:
    """lidarseg ids, [P] uint8, one per row of the sweep.

    Raises:
        DataError: the file is missing or holds another number of points than the sweep.
    """
    data = read_bytes(path)
    if len(data) != count:
        raise DataError(
            f"lidarseg file {path} does not fit its sweep",
            found=f"{len(data)} points",
            expected=f"{count} points",
        )
    return np.frombuffer(data, dtype=np.uint8)
