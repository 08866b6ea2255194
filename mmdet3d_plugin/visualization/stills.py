"""Pictures of label volumes without a browser: single views, and a panel of cameras, truth, prediction,
difference."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ..errors import ConfigError
from ..structures import LabelSpace, VolumeFrame, VoxelGrid
from .raycast import Boxes, Camera, linear_from_srgb, render
from .views import (
    EGO_CAR,
    NOTHING,
    STATUS_COLOURS,
    STATUS_NAMES,
    FrameView,
    ReportData,
    difference,
    forward_yaw,
)

View = Literal["bird", "chase"]
PANEL_WIDTH, MARGIN = 2400, 24
INK, MUTED, PAPER, WARNING = (219, 228, 240), (133, 147, 168), (11, 14, 20), (255, 176, 32)


def view_camera(view: View, grid: VoxelGrid, frame: VolumeFrame = "ego_lidar_time") -> Camera:
    """Camera of a named view: "bird" sees the whole grid, "chase" follows the ego car; forward is up.

    Raises:
        ConfigError: there is no such view.
    """
    yaw = forward_yaw(frame)
    ahead = np.array((np.cos(yaw), np.sin(yaw)))
    if view == "chase":
        target, distance, elevation = np.append(7.0 * ahead, 0.0), 27.0, 0.36
    elif view == "bird":
        middle = (np.array(grid.lower) + np.array(grid.upper))[:2] / 2
        reach = max(u - lo for lo, u in zip(grid.lower[:2], grid.upper[:2]))
        target, distance, elevation = np.append(middle - 0.02 * reach * ahead, 0.0), 1.36 * reach, 0.95
    else:
        raise ConfigError(f"no view {view!r}", expected="'bird' or 'chase'")
    back = np.append(-np.cos(elevation) * ahead, np.sin(elevation))
    return Camera(tuple(target + distance * back), tuple(target))


def render_still(
    labels: np.ndarray,
    space: LabelSpace,
    grid: VoxelGrid,
    view: View = "bird",
    size: tuple[int, int] = (1280, 960),
    frame: VolumeFrame = "ego_lidar_time",
) -> np.ndarray:
    """Picture of a label volume in the colours of its label space, with the ego car.

    Args:
        labels: [Z, Y, X] label ids; free and ignored voxels are not drawn.
        space: meaning and colours of the ids.
        grid: where the voxels are.
        view: "bird" or "chase".
        size: (width, height) in pixels.
        frame: frame of the grid, decides where forward is.

    Returns:
        [height, width, 3] uint8 RGB.
    """
    drawn = (labels != space.free) & (labels != space.ignore)
    cells = np.where(drawn, labels + 1, 0).astype(np.uint8)
    palette = np.array(space.palette, np.uint8)
    return render(cells, palette, grid, view_camera(view, grid, frame), size, _ego_car(frame))


def render_difference(
    view_of: FrameView,
    space: LabelSpace,
    grid: VoxelGrid,
    view: View = "bird",
    size: tuple[int, int] = (1280, 960),
    frame: VolumeFrame = "ego_lidar_time",
) -> np.ndarray:
    """Picture of where a prediction is right, wrong, blind or hallucinating, inside the camera mask if there
    is one.

    Returns:
        [height, width, 3] uint8 RGB in the colours `views.STATUS_COLOURS`.
    """
    status = difference(view_of.ground_truth, view_of.prediction, space, view_of.mask_camera)
    cells = np.where(status != NOTHING, status + 1, 0).astype(np.uint8)
    palette = np.array(STATUS_COLOURS, np.uint8)
    return render(cells, palette, grid, view_camera(view, grid, frame), size, _ego_car(frame))


def _ego_car(frame: VolumeFrame) -> Boxes:
    corners = np.array([(lower, upper) for lower, upper, _ in EGO_CAR])
    if frame == "lidar":  # a quarter turn: (x, y) -> (-y, x)
        turned = np.stack((-corners[..., 1], corners[..., 0], corners[..., 2]), axis=-1)
        corners = np.stack((turned.min(axis=1), turned.max(axis=1)), axis=1)
    return Boxes(corners, linear_from_srgb([colour for _, _, colour in EGO_CAR]))


def compose_panel(
    data: ReportData, view_of: FrameView, path: str | Path | None = None, view: View = "bird"
) -> np.ndarray:
    """Panel of one frame: camera images on top, then truth, prediction and difference, then the legend.

    Args:
        data: label space, grid, title, and whether the data are synthetic; the caption names the scene of
            `data` that holds the frame.
        view_of: the frame.
        path: PNG file to write the panel to, if any; parent folders are made.
        view: "bird" or "chase".

    Returns:
        [H, 2400, 3] uint8 RGB.
    """
    parts = [_header(data, _caption(data, view_of))]
    if view_of.images:
        parts.append(_image_row(view_of))
    parts += [_volumes_row(view_of, data, view), _legend(view_of, data.space)]
    gap = np.full((MARGIN, PANEL_WIDTH, 3), PAPER, np.uint8)
    panel = np.concatenate([strip for part in parts for strip in (part, gap)])
    if path is not None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(panel).save(path)
    return panel


def write_stills(folder: str | Path, data: ReportData, view: View = "bird") -> list[Path]:
    """Write one panel per frame: `<folder>/<scene>_<index>.png`; returns the paths written."""
    written = []
    for scene in data.scenes:
        for index, view_of in enumerate(scene.frames):
            written.append(Path(folder) / f"{scene.name}_{index:03d}.png")
            compose_panel(data, view_of, written[-1], view)
    return written


def _caption(data: ReportData, view_of: FrameView) -> str:
    for scene in data.scenes:
        for index, frame in enumerate(scene.frames):
            if frame is view_of:
                return f"{scene.name}, frame {index + 1} of {len(scene.frames)}"
    return view_of.token


def _strip(height: int) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    strip = Image.new("RGB", (PANEL_WIDTH, height), PAPER)
    return strip, ImageDraw.Draw(strip)


def _header(data: ReportData, caption: str) -> np.ndarray:
    strip, draw = _strip(96)
    draw.text((MARGIN, 62), data.title, INK, _font(40), "ls")
    right = PANEL_WIDTH - MARGIN
    if data.synthetic:
        text = "SYNTHETIC DATA"
        wide = draw.textlength(text, _font(34))
        draw.rounded_rectangle((right - wide - 44, 22, right, 80), 12, WARNING)
        draw.text((right - wide / 2 - 22, 51), text, (26, 18, 0), _font(34), "mm")
        right -= wide + 72
    draw.text((right, 62), f"{caption}  ·  {data.space.name}", MUTED, _font(30), "rs")
    return np.asarray(strip)


def _image_row(view_of: FrameView) -> np.ndarray:
    gap, count = 10, len(view_of.images)
    width = (PANEL_WIDTH - 2 * MARGIN - (count - 1) * gap) // count
    first = view_of.images[0][1]
    height = round(width * first.shape[0] / first.shape[1])
    strip, draw = _strip(height)
    for i, (name, image) in enumerate(view_of.images):
        left = MARGIN + i * (width + gap)
        small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
        strip.paste(Image.fromarray(small), (left, 0))
        text = name.removeprefix("CAM_").replace("_", " ").lower()
        wide = draw.textlength(text, _font(22))
        draw.rectangle((left, height - 34, left + wide + 20, height), PAPER)
        draw.text((left + 10, height - 17), text, INK, _font(22), "lm")
    return np.asarray(strip)


def _volumes_row(view_of: FrameView, data: ReportData, view: View) -> np.ndarray:
    gap = 10
    width = (PANEL_WIDTH - 2 * MARGIN - 2 * gap) // 3
    size = (width, round(width * 0.8))
    arguments = (data.space, data.grid, view, size, data.frame)
    masked = "" if view_of.mask_camera is None else ", camera-visible voxels"
    strip, draw = _strip(size[1] + 46)
    for i, (text, picture) in enumerate(
        (
            ("Ground truth", render_still(view_of.ground_truth, *arguments)),
            ("Prediction", render_still(view_of.prediction, *arguments)),
            (f"Difference{masked}", render_difference(view_of, *arguments)),
        )
    ):
        left = MARGIN + i * (width + gap)
        strip.paste(Image.fromarray(picture), (left, 46))
        draw.text((left + width / 2, 32), text, INK, _font(30), "ms")
    return np.asarray(strip)


def _legend(view_of: FrameView, space: LabelSpace) -> np.ndarray:
    """Classes that occur in the frame, then the statuses, in as many lines as they need."""
    present = np.union1d(np.unique(view_of.ground_truth), np.unique(view_of.prediction))
    entries = [(space.classes[i].replace("_", " "), space.palette[i]) for i in space.semantic if i in present]
    lines, font = [], _font(25)
    for group in (entries, list(zip(STATUS_NAMES, STATUS_COLOURS))):
        line, used = [], 0.0
        for name, colour in group:
            wide = 38 + font.getlength(name) + 36
            if line and used + wide - 36 > PANEL_WIDTH - 2 * MARGIN:
                lines.append((line, used))
                line, used = [], 0.0
            line.append((name, colour, wide))
            used += wide
        if line:
            lines.append((line, used))
    strip, draw = _strip(46 * len(lines))
    for row, (line, used) in enumerate(lines):
        left, middle = (PANEL_WIDTH - used + 36) / 2, 46 * row + 23
        for name, colour, wide in line:
            draw.rounded_rectangle((left, middle - 13, left + 26, middle + 13), 6, tuple(colour))
            draw.text((left + 38, middle), name, INK, font, "lm")
            left += wide
    return np.asarray(strip)


def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)
