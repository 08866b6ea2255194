"""One offline HTML file: voxel viewer, camera images, loss curve and result table of a run."""

from __future__ import annotations

import base64
import json
import math
import zlib
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

import cv2
import numpy as np

from .. import __version__
from .views import (
    EGO_CAR,
    STATUS_COLOURS,
    STATUS_NAMES,
    FrameView,
    LossCurve,
    ReportData,
    ResultTable,
    SceneView,
    forward_yaw,
)

__all__ = ["FrameView", "LossCurve", "ReportData", "ResultTable", "SceneView", "write_report"]

SCRIPTS = ("voxels.js", "renderer.js", "charts.js", "app.js")
IMAGE_WIDTH, JPEG_QUALITY = 480, 80
MAX_CURVE_POINTS = 2000


def write_report(path: str | Path, data: ReportData) -> Path:
    """Write a self-contained HTML file that needs no server and no network.

    Args:
        path: where to write; parent folders are made. An existing file is replaced at once, never half
            written.
        data: what to show. Label volumes are embedded without loss, images as JPEG at most 480 pixels wide.

    Returns:
        the path written.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".part")
    draft.write_text(render_html(data), encoding="utf-8")
    draft.replace(path)
    return path


def render_html(data: ReportData) -> str:
    """The text of the HTML file (see :func:`write_report`)."""
    assets = files(__package__) / "assets"
    payload = json.dumps(_manifest(data), separators=(",", ":"), allow_nan=False).replace("</", "<\\/")
    page = (assets / "viewer.html").read_text(encoding="utf-8")
    script = "\n".join((assets / name).read_text(encoding="utf-8") for name in SCRIPTS)
    for mark, text in (
        ("/*{{STYLE}}*/", (assets / "viewer.css").read_text(encoding="utf-8")),
        ("/*{{SCRIPT}}*/", script),
        ("{{DATA}}", payload),
    ):
        page = page.replace(mark, text, 1)
    return page


def _manifest(data: ReportData) -> dict:
    grid, space = data.grid, data.space
    return {
        "version": __version__,
        "title": data.title,
        "synthetic": data.synthetic,
        "forward": forward_yaw(data.frame),
        "frame": data.frame,
        "egoCar": EGO_CAR,
        "grid": {"lower": grid.lower, "upper": grid.upper, "shape": grid.shape, "size": grid.voxel_size},
        "space": {
            "name": space.name,
            "classes": space.classes,
            "palette": space.palette,
            "free": space.free,
            "ignore": space.ignore,
        },
        "status": {"names": STATUS_NAMES, "palette": STATUS_COLOURS},
        "scenes": [{"name": s.name, "frames": [_frame(view) for view in s.frames]} for s in data.scenes],
        "curve": None if data.curve is None else _curve(data.curve),
        "results": None if data.results is None else _results(data.results),
    }


def _frame(view: FrameView) -> dict:
    return {
        "token": view.token,
        "truth": pack_volume(view.ground_truth),
        "prediction": pack_volume(view.prediction),
        "mask": None if view.mask_camera is None else pack_volume(np.packbits(view.mask_camera, bitorder="little")),
        "images": [[name, _jpeg(image)] for name, image in view.images],
    }


def pack_volume(volume: np.ndarray) -> str:
    """Bytes of a uint8 array in C order, compressed (zlib, RFC 1950) and base64 coded.

    Occupancy is so redundant (free space, flat ground) that a whole 200 x 200 x 16 volume takes about 20 kB:
    less than a list of its surface voxels, and nothing is lost.
    """
    return base64.b64encode(zlib.compress(np.ascontiguousarray(volume, np.uint8).tobytes(), 9)).decode("ascii")


def _jpeg(image: np.ndarray) -> str:
    height, width = image.shape[:2]
    if width > IMAGE_WIDTH:
        size = (IMAGE_WIDTH, round(height * IMAGE_WIDTH / width))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY, cv2.IMWRITE_JPEG_OPTIMIZE, 1]
    _, code = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)
    return base64.b64encode(code.tobytes()).decode("ascii")


def _number(value: float) -> float | None:
    """JSON has no NaN or infinity."""
    return float(f"{float(value):.6g}") if math.isfinite(float(value)) else None


def _curve(curve: LossCurve) -> dict:
    keep = np.arange(0, len(curve.position), max(1, math.ceil(len(curve.position) / MAX_CURVE_POINTS)))
    return {
        "unit": curve.unit,
        "position": [_number(v) for v in np.asarray(curve.position)[keep]],
        "values": {name: [_number(v) for v in np.asarray(vs)[keep]] for name, vs in curve.values.items()},
    }


def _results(results: ResultTable) -> dict:
    return {
        "rows": [
            {"name": name, "metrics": {metric: _number(value) for metric, value in row.items()}}
            for name, row in results.rows.items()
        ],
        "protocol": [[key.replace("_", " "), _text(value)] for key, value in results.protocol.items()],
    }


def _text(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_text(item)}" for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_text, value))
    return {True: "yes", False: "no", None: "none"}[value] if value is None or isinstance(value, bool) else str(value)
