"""Do labels, projected with the calibration, fit what the images show? Judged without a model and without lidar.

In one image, surfaces of a class look more alike than surfaces of different classes, and all differ from the sky. The
share of the variance of colours that the projected classes explain is therefore largest where labels meet the pixels
that they belong to; it is compared with that of conventions and calibrations that are wrong on purpose. Pixels without
a voxel count as a class of their own, so that every hypothesis explains the same pixels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from ..geometry.transforms import apply, inverse
from ..structures import LabelSpace, VoxelGrid

GIVEN = "as given"
NEAR, FAR = 1.5, 40.0  # metres between which voxels are projected
WIDTH = 240  # pixels of the images that are compared
_TURN = np.radians(6.0)


@dataclass(frozen=True)
class SeenImage:
    """An image and where it was taken.

    Attributes:
        image: [H, W, 3] uint8 RGB, about `WIDTH` wide.
        volume_from_cam: [4, 4] pose of the camera in the frame of the labels, metres.
        pixel_from_cam: [3, 3] intrinsics of `image`, integer pixels are pixel centres.
    """

    image: np.ndarray
    volume_from_cam: np.ndarray
    pixel_from_cam: np.ndarray


class ColourVariance:
    """Variance of colours within images, and the part of it between classes, summed over images."""

    def __init__(self) -> None:
        self._between = self._total = 0.0

    def add(self, classes: np.ndarray, image: np.ndarray) -> None:
        """Count an image.

        Args:
            classes: [H, W] uint8 label ids, and one more where no voxel is.
            image: [H, W, 3] uint8 RGB.
        """
        colours = cv2.cvtColor(image, cv2.COLOR_RGB2LAB).reshape(-1, 3).astype(np.float64)
        colours -= colours.mean(axis=0)
        count = np.maximum(np.bincount(classes.reshape(-1), minlength=256), 1)
        for channel in colours.T:
            self._between += float((np.bincount(classes.reshape(-1), channel, minlength=256) ** 2 / count).sum())
        self._total += float((colours**2).sum())

    def explained(self) -> float:
        """Share of the variance that lies between the classes, 0 to 1."""
        return self._between / self._total if self._total else 0.0


def score_frame(
    scores: dict[str, ColourVariance],
    labels: np.ndarray,
    space: LabelSpace,
    grid: VoxelGrid,
    views: Sequence[SeenImage],
) -> None:
    """Add one frame to the scores of the given convention and of wrong ones.

    Args:
        scores: by hypothesis; a missing one is begun.
        labels: [Z, Y, X] uint8 label ids.
        space: their meaning.
        grid: where the voxels are.
        views: images of all cameras.
    """
    for name, volume, seen in _hypotheses(labels, grid, views):
        score = scores.setdefault(name, ColourVariance())
        for view in seen:
            score.add(label_image(volume, space, grid, view), view.image)


def _hypotheses(
    labels: np.ndarray, grid: VoxelGrid, views: Sequence[SeenImage]
) -> Iterator[tuple[str, np.ndarray, Sequence[SeenImage]]]:
    yield GIVEN, labels, views
    yield "labels with x reversed", labels[:, :, ::-1], views
    yield "labels with y reversed", labels[:, ::-1], views
    if grid.shape[0] == grid.shape[1]:
        yield "labels with x and y exchanged", labels.swapaxes(1, 2), views
    if len(views) > 1:
        others = [*views[1:], views[0]]
        yield (
            "images of the next camera",
            labels,
            [
                SeenImage(_resized(other.image, view.image.shape), view.volume_from_cam, view.pixel_from_cam)
                for view, other in zip(views, others)
            ],
        )
    for name, axis, sign in (
        ("cameras 6 degrees further left", 1, -1.0),
        ("cameras 6 degrees further right", 1, 1.0),
        ("cameras 6 degrees higher", 0, 1.0),
        ("cameras 6 degrees lower", 0, -1.0),
    ):
        turn = np.eye(4)
        turn[:3, :3] = cv2.Rodrigues(np.eye(3)[axis] * sign * _TURN)[0]
        yield name, labels, [SeenImage(v.image, v.volume_from_cam @ turn, v.pixel_from_cam) for v in views]


def _resized(image: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return cv2.resize(image, (shape[1], shape[0]), interpolation=cv2.INTER_AREA)


def label_image(labels: np.ndarray, space: LabelSpace, grid: VoxelGrid, view: SeenImage) -> np.ndarray:
    """Classes of the nearest voxels behind the pixels of an image, drawn as squares.

    Args:
        labels: [Z, Y, X] uint8 label ids.
        space: their meaning; free and ignored voxels are not drawn.
        grid: where the voxels are.
        view: the image.

    Returns:
        [H, W] uint8 label ids, `space.ignore` where no voxel is.
    """
    z, y, x = np.nonzero((labels != space.free) & (labels != space.ignore))
    size = np.array(grid.voxel_size)
    centres = np.array(grid.lower) + (np.stack((x, y, z), axis=-1) + 0.5) * size
    in_cam = apply(inverse(view.volume_from_cam), centres)
    height, width = view.image.shape[:2]
    ahead = np.flatnonzero((in_cam[:, 2] > NEAR) & (in_cam[:, 2] < FAR))
    pixels = in_cam[ahead] @ view.pixel_from_cam.T
    pixels = pixels[:, :2] / pixels[:, 2:]
    half = 0.5 * size.max() * view.pixel_from_cam[0, 0] / in_cam[ahead, 2]
    low = np.rint(pixels - half[:, None]).astype(np.int64)
    high = np.rint(pixels + half[:, None]).astype(np.int64) + 1
    low, high = np.maximum(low, 0), np.minimum(high, (width, height))
    seen = (low < high).all(axis=1)
    classes = labels[z, y, x][ahead]
    result = np.full((height, width), space.ignore, dtype=np.uint8)
    for i in np.flatnonzero(seen)[np.argsort(-in_cam[ahead, 2][seen])]:
        result[low[i, 1] : high[i, 1], low[i, 0] : high[i, 0]] = classes[i]
    return result
