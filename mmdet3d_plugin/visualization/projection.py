"""Voxels painted over the camera images: what one look tells about frames, axes and classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ..geometry.transforms import apply, inverse
from ..structures import LabelSpace, VoxelGrid
from .stills import INK, MARGIN, MUTED, PANEL_WIDTH, PAPER

COLUMNS, GAP = 3, 10
NEAR, FAR = 1.0, 60.0  # metres between which voxels are drawn
_OPACITY = 0.65
_SHADES = (0.72, 0.86, 1.0)  # of faces across x, y and z
_EDGE, _EDGE_FROM = 0.75, 8.0  # brightness of the outline of a face, and from which size on it has one, pixels


@dataclass(frozen=True)
class CameraImage:
    """An image and where it was taken.

    Attributes:
        name: for the caption.
        image: [H, W, 3] uint8 RGB.
        grid_from_cam: [4, 4] pose of the camera (x right, y down, z forward) in the frame of the voxels, metres.
        pixel_from_cam: [3, 3] intrinsics of `image`, integer pixels are pixel centres.
    """

    name: str
    image: np.ndarray
    grid_from_cam: np.ndarray
    pixel_from_cam: np.ndarray


def paint_voxels(labels: np.ndarray, space: LabelSpace, grid: VoxelGrid, camera: CameraImage) -> np.ndarray:
    """Occupied voxels as cubes over an image: near ones hide far ones, their size follows from their distance.

    Only faces that look at the camera and at a free voxel are painted, the top brighter than the sides.

    Args:
        labels: [Z, Y, X] uint8 label ids; free and ignored voxels are not drawn.
        space: meaning and colours of the ids.
        grid: where the voxels are.
        camera: the image.

    Returns:
        [H, W, 3] uint8 RGB.
    """
    corners, colours = _faces(labels, space, grid, camera.grid_from_cam[:3, 3])
    in_cam = apply(inverse(camera.grid_from_cam), corners.reshape(-1, 3)).reshape(corners.shape)
    depth = in_cam[..., 2]
    height, width = camera.image.shape[:2]
    seen = (depth.min(axis=1) > NEAR) & (depth.max(axis=1) < FAR)
    in_cam, colours = in_cam[seen], colours[seen]
    pixels = in_cam @ camera.pixel_from_cam.T
    pixels = pixels[..., :2] / pixels[..., 2:]
    hit = ((pixels.max(axis=1) > 0) & (pixels.min(axis=1) < (width, height))).all(axis=1)
    in_cam, colours, pixels = in_cam[hit], colours[hit], pixels[hit]
    order = np.argsort(-np.linalg.norm(in_cam.mean(axis=1), axis=-1))
    layer = camera.image.copy()
    fractional = 4  # bits of sub-pixel positions
    quads = np.round(pixels * (1 << fractional)).astype(np.int32)
    outlined = np.ptp(pixels, axis=1).max(axis=1) > _EDGE_FROM
    for i in order:
        cv2.fillConvexPoly(layer, quads[i], colours[i].tolist(), cv2.LINE_AA, fractional)
        if outlined[i]:
            cv2.polylines(layer, quads[i : i + 1], True, (colours[i] * _EDGE).tolist(), 1, cv2.LINE_AA, fractional)
    return cv2.addWeighted(layer, _OPACITY, camera.image, 1 - _OPACITY, 0)


def _faces(labels: np.ndarray, space: LabelSpace, grid: VoxelGrid, eye: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Corners [Q, 4, 3] in metres and colours [Q, 3] of the faces that can be seen from a point."""
    drawn = (labels != space.free) & (labels != space.ignore)
    padded = np.pad(drawn, 1)
    size = np.array(grid.voxel_size)
    z, y, x = np.nonzero(drawn)
    voxels = np.stack((x, y, z), axis=-1)
    centres = np.array(grid.lower) + (voxels + 0.5) * size
    palette = np.array(space.palette, dtype=np.float64)[labels[z, y, x]]
    corners, colours = [], []
    for axis in range(3):
        side = np.where(eye[axis] > centres[:, axis], 1, -1)
        neighbour = voxels + 1
        neighbour[:, axis] += side
        beyond = np.abs(eye[axis] - centres[:, axis]) > size[axis] / 2
        shown = beyond & ~padded[neighbour[:, 2], neighbour[:, 1], neighbour[:, 0]]
        first, second = (a for a in range(3) if a != axis)
        offsets = np.zeros((int(shown.sum()), 4, 3))
        offsets[..., first] = (-1, 1, 1, -1)
        offsets[..., second] = (-1, -1, 1, 1)
        offsets[..., axis] = side[shown, None]
        corners.append(centres[shown, None] + offsets * size / 2)
        colours.append(palette[shown] * _SHADES[axis])
    return np.concatenate(corners), np.concatenate(colours)


def compose_projection(
    labels: np.ndarray, space: LabelSpace, grid: VoxelGrid, cameras: Sequence[CameraImage], title: str
) -> np.ndarray:
    """One picture of all cameras with voxels painted over them, and the colours of the classes.

    Args:
        labels: [Z, Y, X] uint8 label ids.
        space: meaning and colours of the ids.
        grid: where the voxels are.
        cameras: images in the order of reading, three a row.
        title: written above.

    Returns:
        [H, 2400, 3] uint8 RGB.
    """
    width = (PANEL_WIDTH - 2 * MARGIN - (COLUMNS - 1) * GAP) // COLUMNS
    tiles = [_tile(labels, space, grid, camera, width) for camera in cameras]
    rows = [tiles[i : i + COLUMNS] for i in range(0, len(tiles), COLUMNS)]
    heights = [max(tile.shape[0] for tile in row) for row in rows]
    top, legend = 80, 120
    panel = Image.new("RGB", (PANEL_WIDTH, top + sum(heights) + GAP * len(rows) + legend), PAPER)
    draw = ImageDraw.Draw(panel)
    draw.text((MARGIN, 52), title, INK, _font(34), "ls")
    upper = top
    for row, height in zip(rows, heights):
        for column, tile in enumerate(row):
            panel.paste(Image.fromarray(tile), (MARGIN + column * (width + GAP), upper))
        upper += height + GAP
    present = [i for i in space.semantic if (labels == i).any()]
    _legend(draw, [(space.classes[i].replace("_", " "), space.palette[i]) for i in present], upper)
    return np.asarray(panel)


def _tile(labels: np.ndarray, space: LabelSpace, grid: VoxelGrid, camera: CameraImage, width: int) -> np.ndarray:
    """A camera at the width of a column, with its name."""
    scale = width / camera.image.shape[1]
    height = round(camera.image.shape[0] * scale)
    image = cv2.resize(camera.image, (width, height), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    resize = np.diag((scale, height / camera.image.shape[0], 1.0))
    resize[:2, 2] = (np.diag(resize)[:2] - 1) / 2  # pixel centres are integers: u' + 0.5 = s (u + 0.5)
    resized = CameraImage(camera.name, image, camera.grid_from_cam, resize @ camera.pixel_from_cam)
    tile = Image.fromarray(paint_voxels(labels, space, grid, resized))
    draw, text = ImageDraw.Draw(tile), camera.name.removeprefix("CAM_").replace("_", " ").lower()
    draw.rectangle((0, height - 34, draw.textlength(text, _font(22)) + 20, height), PAPER)
    draw.text((10, height - 17), text, INK, _font(22), "lm")
    return np.asarray(tile)


def _legend(draw: ImageDraw.ImageDraw, entries: list[tuple[str, tuple[int, int, int]]], top: int) -> None:
    left, line, font = MARGIN, 0, _font(25)
    for name, colour in entries:
        wide = round(38 + font.getlength(name) + 36)
        if left + wide > PANEL_WIDTH and left > MARGIN:
            left, line = MARGIN, line + 1
        middle = top + 35 + 46 * line
        draw.rounded_rectangle((left, middle - 13, left + 26, middle + 13), 6, colour)
        draw.text((left + 38, middle), name, MUTED, font, "lm")
        left += wide


def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)  # type: ignore[return-value]
