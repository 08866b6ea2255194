"""Pillow's bicubic resize, bit by bit, of the part of an image that a crop keeps.

Pillow resizes an 8-bit image along x, rounds to 8 bits, then along y. Each pass is a sum of taps with weights that are
rounded to 22 binary places, so integers decide every bit, and a pixel can be computed without its neighbours. What
makes this faster: rows and columns that only feed cropped pixels are left out, and each pass adds up whole lines of
memory, which the compiler turns into vector instructions. For that, the first pass works on the transposed image.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from PIL import Image

try:
    from ...machine_code import compiled
except ImportError:  # without numba; Pillow gives the same bits in more time
    compiled = None

_kernel = compiled(nogil=True) if compiled else lambda function: function
_BITS = 22
_HALF = 1 << (_BITS - 1)
_SHARPNESS = -0.5  # slope of the cubic at distance 1


def resize_bicubic(image: np.ndarray, size: tuple[int, int], box: tuple[int, int, int, int]) -> np.ndarray:
    """`Image.fromarray(image).resize(size, Image.Resampling.BICUBIC).crop(box)` of Pillow, with equal bits.

    Args:
        image: [h, w, 3] uint8.
        size: (width, height) of the whole resized image: those of the image by one factor, cut to whole pixels.
        box: (left, top, right, bottom) of the crop in the resized image; black where it lies outside.

    Returns:
        [bottom - top, right - left, 3] uint8.
    """
    if compiled is None or image.shape[0] > image.shape[1]:  # newer versions of Pillow resize tall images along y first
        return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC).crop(box))
    left, top, right, bottom = box
    result = np.zeros((bottom - top, right - left, 3), dtype=np.uint8)
    x0, y0, x1, y1 = max(left, 0), max(top, 0), min(right, size[0]), min(bottom, size[1])
    if x0 < x1 and y0 < y1:
        result[y0 - top : y1 - top, x0 - left : x1 - left] = _resize_inside(image, size, (x0, y0, x1, y1))
    return result


def _resize_inside(image: np.ndarray, size: tuple[int, int], box: tuple[int, int, int, int]) -> np.ndarray:
    height, width = image.shape[:2]
    left, top, right, bottom = box
    columns, x_weights = (table[left:right] for table in _taps(width, size[0]))
    rows, y_weights = (table[top:bottom] for table in _taps(height, size[1]))
    first_column, last_column = columns[0], min(width, columns[-1] + x_weights.shape[1])
    first_row, last_row = rows[0], min(height, rows[-1] + y_weights.shape[1])
    needed = cv2.transpose(image[first_row:last_row, first_column:last_column])
    count = last_row - first_row
    narrow = np.empty((right - left, count, 3), dtype=np.uint8)
    _add_lines(needed.reshape(len(needed), -1), columns - first_column, x_weights, narrow.reshape(len(narrow), -1))
    lines = cv2.transpose(narrow)
    result = np.empty((bottom - top, right - left, 3), dtype=np.uint8)
    _add_lines(lines.reshape(count, -1), rows - first_row, y_weights, result.reshape(len(result), -1))
    return result


@lru_cache(maxsize=16)
def _taps(source: int, target: int) -> tuple[np.ndarray, np.ndarray]:
    """For each of `target` pixels the first source pixel it sees, [target] int64, and the weights from there on.

    Weights are [target, taps] int32. The order of operations is Pillow's: its float64 roundings decide the last bit.
    """
    scale = source / target
    stretch = max(scale, 1.0)  # a smaller image averages: the cubic grows with the pixels
    centre = (np.arange(target) + 0.5) * scale
    first = np.maximum((centre - 2.0 * stretch + 0.5).astype(np.int64), 0)
    count = np.minimum((centre + 2.0 * stretch + 0.5).astype(np.int64), source) - first
    tap = np.arange(count.max())
    x = np.abs((tap + first[:, None] - centre[:, None] + 0.5) * (1.0 / stretch))
    near = ((_SHARPNESS + 2.0) * x - (_SHARPNESS + 3.0)) * x * x + 1.0
    far = (((x - 5.0) * x + 8.0) * x - 4.0) * _SHARPNESS
    weight = np.where(x < 1.0, near, np.where(x < 2.0, far, 0.0)) * (tap < count[:, None])
    total = np.zeros(target)
    for k in tap:  # one after the other: a pairwise sum rounds differently
        total += weight[:, k]
    weight /= total[:, None]
    fixed = np.trunc(weight * (1 << _BITS) + np.where(weight < 0, -0.5, 0.5)).astype(np.int32)
    return first, fixed


@_kernel
def _add_lines(lines, first, weights, result):  # type: ignore[no-untyped-def]
    """result[i] = sum over k of weights[i, k] * lines[first[i] + k], rounded and cut to 0..255; lines are uint8."""
    length = lines.shape[1]
    total = np.empty(length, np.int32)
    for i in range(len(first)):
        total[:] = _HALF
        for k in range(weights.shape[1]):
            weight = weights[i, k]
            if weight != 0:  # also what lies beyond the last line
                line = lines[first[i] + k]
                for j in range(length):
                    total[j] += weight * np.int32(line[j])
        for j in range(length):
            result[i, j] = min(max(total[j] >> _BITS, 0), 255)
