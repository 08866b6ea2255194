"""Reading the binary files of a sample; a bad one is a DataError that names the path."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from ..array_files import DAMAGED, member
from ..errors import DataError

try:
    import simplejpeg
except ImportError:
    simplejpeg = None

_END_OF_IMAGE = {".jpg": b"\xff\xd9", ".jpeg": b"\xff\xd9", ".png": b"IEND"}


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
    """Decode a JPEG or PNG, optionally at 1/2, 1/4 or 1/8 of its size, which costs a fraction of the time for a JPEG.

    A reduced pixel is the mean of the `reduction` x `reduction` pixels it covers (the DCT is scaled), so
    pixel coordinates scale exactly about the corner of the image. A JPEG is decoded by simplejpeg where installed,
    everything else by OpenCV.

    Args:
        path: file.
        size: (width, height) that the tables promise.
        reduction: 1, 2, 4 or 8.

    Returns:
        [ceil(height / reduction), ceil(width / reduction), 3] uint8 RGB.

    Raises:
        DataError: the file is missing, no complete image, or of another size.
    """
    width, height = -(-size[0] // reduction), -(-size[1] // reduction)
    data = _complete_image(path)
    try:
        if path.suffix.lower() == ".png":
            image = _decode_png(data, reduction)
        elif simplejpeg is not None:
            bounds = {} if reduction == 1 else {"min_height": height, "min_width": width}
            image = simplejpeg.decode_jpeg(data, "RGB", **bounds)
        else:
            image = _decode_opencv(data, reduction)
    except (ValueError, cv2.error) as error:
        raise _corrupt(path, error) from error
    if image.shape[:2] != (height, width):
        raise _wrong_size(path, data, size)
    return image


def read_jpeg_pillow(path: Path, size: tuple[int, int]) -> np.ndarray:
    """Decode a JPEG or PNG to the bits that Pillow gives, as the published pipeline had them.

    Pillow and simplejpeg both take libjpeg-turbo's accurate transform and smooth upsampling, so simplejpeg, where
    installed, gives the same bits of a JPEG in less time (tests/datasets/test_bicubic.py).

    Returns:
        [height, width, 3] uint8 RGB.

    Raises:
        DataError: as :func:`read_jpeg`.
    """
    if simplejpeg is not None and path.suffix.lower() != ".png":
        return read_jpeg(path, size)
    data = _complete_image(path)
    try:
        image = Image.open(io.BytesIO(data)).convert("RGB")
    except (OSError, ValueError) as error:
        raise _corrupt(path, error) from error
    if image.size != size:
        raise _wrong_size(path, data, size)
    return np.asarray(image)


def image_size(path: Path) -> tuple[int, int]:
    """(width, height) of an image file, from its header.

    Raises:
        DataError: the file is missing or no image.
    """
    try:
        with Image.open(path) as image:
            return image.size
    except OSError as error:
        found = "no such file" if isinstance(error, FileNotFoundError) else error
        raise DataError(
            f"image {path} cannot be read", found=found, fix="check that the data set was unpacked completely"
        ) from error


def _complete_image(path: Path) -> bytes:
    """Bytes of an image with its end marker; decoders fill what a truncated file lacks with grey."""
    data, kind = read_bytes(path), path.suffix.lower()
    if kind not in _END_OF_IMAGE:
        raise DataError(f"image {path} has an unknown format", found=path.suffix, expected=" or ".join(_END_OF_IMAGE))
    if _END_OF_IMAGE[kind] not in data[-64:]:
        raise _corrupt(path, f"{len(data)} bytes without the end marker of a {kind[1:].upper()}")
    return data


def _wrong_size(path: Path, data: bytes, size: tuple[int, int]) -> DataError:
    width, height = Image.open(io.BytesIO(data)).size
    return DataError(
        f"image {path} has another size than the tables promise",
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


def _decode_png(data: bytes, reduction: int) -> np.ndarray:
    image = _decode_opencv(data, 1)
    (height, width), pad = image.shape[:2], [-n % reduction for n in image.shape[:2]]
    if any(pad):
        image = cv2.copyMakeBorder(image, 0, pad[0], 0, pad[1], cv2.BORDER_REPLICATE)
    size = (-(-width // reduction), -(-height // reduction))
    return image if reduction == 1 else cv2.resize(image, size, interpolation=cv2.INTER_AREA)


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
            return {key: member(archive, key) for key in keys}
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


def read_points(path: Path, columns: int = 5) -> np.ndarray:
    """A lidar sweep: [P, columns] float32 (x, y, z, intensity, ...) in metres.

    Args:
        path: file.
        columns: values of a point: 5 of LIDAR_TOP of nuScenes (the fifth is the ring, spec/data/formats section 2), 6
            of Waymo (spec/data/waymo section 1).

    Raises:
        DataError: the file is missing or truncated.
    """
    data, size = read_bytes(path), 4 * columns
    if not data or len(data) % size:
        raise DataError(
            f"lidar file {path} is truncated", found=f"{len(data)} bytes", expected=f"a multiple of {size} bytes"
        )
    return np.frombuffer(data, dtype="<f4").reshape(-1, columns)


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
