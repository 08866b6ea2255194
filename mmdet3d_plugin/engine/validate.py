"""`occstudio validate`: what a data set says of itself, checked before a model sees it (docs/data.md)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from mmengine.config import Config
from PIL import Image

from ..datasets.base import OccDataset
from ..datasets.files import read_jpeg
from ..errors import ConfigError
from ..geometry.transforms import apply, inverse
from ..registry import DATASETS
from ..visualization.projection import CameraImage, compose_projection
from .data_doctor.agreement import Hits, judge_axes, turned
from .data_doctor.findings import Finding, collect, problem
from .image_agreement import GIVEN, WIDTH, ColourVariance, SeenImage, score_frame

_ROUNDING = 1e-4
_FASTEST = 70.0  # m/s
_ABOVE_GROUND, _OWN_CAR = 0.5, 3.0  # metres
_MARGIN = 0.02  # by which the given calibration must lead
_FIX = "compare intrinsics, camera poses and label axes with docs/data.md, and look at the pictures"


def validate(cfg: Config, out: Path, frames: int = 6) -> list[Finding]:
    """Examine the training and the test data set of a config.

    Args:
        cfg: as :func:`mmdet3d_plugin.config.load_config` returns it.
        out: folder for a picture of each data set: labels over the images.
        frames: number of frames of each whose labels and images are compared.

    Raises:
        ConfigError: the config has no data sets, or they are no :class:`OccDataset`.
        DataError: the tables of a data set are missing or broken.
    """
    findings: list[Finding] = []
    for loader in ("train_dataloader", "test_dataloader"):
        if loader not in cfg:
            raise ConfigError(f"the config {cfg.filename} lacks {loader!r}")
        arguments = {**cfg[loader].dataset, "mode": "evaluate", "depth": None, "scene": None, "load_adjacent": False}
        dataset = DATASETS.build(arguments)
        if not isinstance(dataset, OccDataset):
            raise ConfigError(f"{type(dataset).__name__} is no OccDataset", fix="derive it from OccDataset")
        name = loader.removesuffix("_dataloader")
        findings += collect(name, _tables, name, dataset)
        findings += collect(name, _calibration, name, dataset)
        rows = np.unique(np.linspace(0, len(dataset) - 1, frames).round().astype(int)).tolist()
        findings += collect(name, _agreement, name, dataset, rows)
        findings += collect(name, _picture, name, dataset, rows[len(rows) // 2], out / f"{name}.png")
    return findings


def _tables(name: str, dataset: OccDataset) -> Iterator[Finding]:
    tokens, times = dataset.tokens, dataset.timestamps
    scenes = len(np.unique(dataset.scene_names))
    sizes = ", ".join(f"{c} {w} x {h}" for c, (w, h) in zip(dataset.cameras, dataset.image_sizes(0)))
    yield Finding(
        name, f"{len(tokens)} frames of {scenes} scenes in {dataset.root}; {dataset.label_space.name}; {sizes}"
    )
    if len(np.unique(tokens)) != len(tokens):
        yield problem(name, "tokens are not unique", "name every frame differently: predictions are saved by token")
    starts = np.array([dataset.previous(i) == i for i in range(len(tokens))])
    steps = np.diff(times) * 1e-6
    within = ~starts[1:]
    if (steps[within] <= 0).any():
        yield problem(name, "time does not grow within a scene", "sort the frames of a scene by time")
        return
    poses = np.stack([dataset.global_from_volume(i) for i in range(len(tokens))])
    speed = np.linalg.norm(np.diff(poses[:, :3, 3], axis=0), axis=1)[within] / steps[within]
    if len(speed) and speed.max() > _FASTEST:
        what = f"the vehicle drives at up to {speed.max():.0f} m/s"
        yield problem(name, what, "give poses in metres and time stamps in microseconds, global_from_ego")
    elif len(speed):
        yield Finding(name, f"{np.median(steps[within]):.2f} s between frames, 0 to {speed.max():.1f} m/s")


def _calibration(name: str, dataset: OccDataset) -> Iterator[Finding]:
    for index in sorted({0, len(dataset) // 2, len(dataset) - 1}):
        for camera, pose, k, (width, height) in zip(
            dataset.cameras, dataset.volume_from_cam(index), dataset.intrinsics(index), dataset.image_sizes(index)
        ):
            rotation = pose[:3, :3]
            rigid = np.abs(rotation @ rotation.T - np.eye(3)).max() < _ROUNDING and np.linalg.det(rotation) > 0
            triangular = (
                np.abs((k[1, 0], k[2, 0], k[2, 1], k[2, 2] - 1)).max() < _ROUNDING and min(k[0, 0], k[1, 1]) > 0
            )
            what = None
            if not rigid:
                what = "its pose is no rotation with a translation"
            elif not triangular:
                what = f"its intrinsics are no pinhole matrix: {np.round(k, 3).tolist()}"
            elif not (0 < k[0, 2] < width and 0 < k[1, 2] < height):
                what = f"its principal point ({k[0, 2]:.0f}, {k[1, 2]:.0f}) lies outside of {width} x {height} pixels"
            if what:
                yield problem(name, f"{dataset.describe(index)}: camera {camera}: {what}", _FIX)
                return
    yield Finding(name, "calibration: poses are rigid, intrinsics those of pinhole cameras")


def _agreement(name: str, dataset: OccDataset, rows: list[int]) -> Iterator[Finding]:
    """Labels against images, and against lidar where the data set has some."""
    scores: dict[str, ColourVariance] = {}
    hits, has_lidar = Hits(), type(dataset).points is not OccDataset.points
    for row in rows:
        labels = dataset.labels.load(dataset.root, dataset.label_name(row), training=False).occupancy
        score_frame(scores, labels, dataset.label_space, dataset.grid, seen_images(dataset, row))
        if has_lidar:
            volume_from_lidar = inverse(dataset.global_from_volume(row)) @ dataset.global_from_lidar(row)
            points = apply(volume_from_lidar, dataset.points(row)[:, :3].astype(np.float64))
            standing = (points[:, 2] > _ABOVE_GROUND) & (np.hypot(points[:, 0], points[:, 1]) > _OWN_CAR)
            occupied = labels != dataset.label_space.free
            for hypothesis, moved in turned(points[standing]).items():
                hits.add(hypothesis, moved, occupied, dataset.grid)
    yield judge_images(name, {hypothesis: score.explained() for hypothesis, score in scores.items()}, len(rows))
    if has_lidar and dataset.labels.frame == "ego":
        yield from judge_axes(name, hits, _FIX)


def judge_images(name: str, scores: dict[str, float], frames: int) -> Finding:
    """The given calibration must explain the colours of the images better than every wrong one.

    A lead of less than 0.02 is a note; on synthetic worlds the lead is 0.04 to 0.11.

    Args:
        name: topic of the finding.
        scores: share of the variance of colours by hypothesis, `GIVEN` among them.
        frames: that were compared.
    """
    order = sorted(scores, key=lambda hypothesis: -scores[hypothesis])
    text = ", ".join(f"{hypothesis} {scores[hypothesis]:.3f}" for hypothesis in order)
    text = f"variance of colours that projected labels explain, {frames} frames: {text}"
    rival = max((score for hypothesis, score in scores.items() if hypothesis != GIVEN), default=0.0)
    if scores[GIVEN] > rival + _MARGIN:
        return Finding(name, f"score {scores[GIVEN]:.3f}: {text}")
    if scores[GIVEN] > rival - _MARGIN:
        return Finding(name, f"score {scores[GIVEN]:.3f}, too close to tell: {text}", "note")
    return problem(name, f"labels fit the images better with {order[0]}\n{text}", _FIX)


def seen_images(dataset: OccDataset, row: int) -> list[SeenImage]:
    """All images of a frame, small enough to compare."""
    views = []
    for image, pose, k in _images(dataset, row):
        height, width = image.shape[:2]
        small = (WIDTH, max(1, round(height * WIDTH / width)))
        resize = np.diag((small[0] / width, small[1] / height, 1.0))
        resize[:2, 2] = (np.diag(resize)[:2] - 1) / 2  # pixel centres are integers: u' + 0.5 = s (u + 0.5)
        views.append(SeenImage(cv2.resize(image, small, interpolation=cv2.INTER_AREA), pose, resize @ k))
    return views


def _images(dataset: OccDataset, row: int) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Image, pose in the volume and intrinsics of every camera."""
    for file, (width, height), pose, k in zip(
        dataset.image_files(row), dataset.image_sizes(row), dataset.volume_from_cam(row), dataset.intrinsics(row)
    ):
        yield read_jpeg(file, (int(width), int(height))), pose, k


def _picture(name: str, dataset: OccDataset, row: int, path: Path) -> Iterator[Finding]:
    labels = dataset.labels.load(dataset.root, dataset.label_name(row), training=False)
    cameras = [CameraImage(c, *parts) for c, parts in zip(dataset.cameras, _images(dataset, row))]
    title = f"{dataset.label_space.name} over the cameras: {dataset.tokens[row]}"
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = compose_projection(labels.occupancy, dataset.label_space, dataset.grid, cameras, title)
    Image.fromarray(picture).save(path)
    yield Finding(name, f"picture of {dataset.tokens[row]}: {path}")
