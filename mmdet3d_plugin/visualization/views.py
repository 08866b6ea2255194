"""What is shown: frames, loss curves and result tables; and the difference of two label volumes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..errors import DataError
from ..structures import LabelSpace, VolumeFrame, VoxelGrid

NOTHING = 255  # status of voxels that a difference does not draw
STATUS_NAMES = ("correct", "wrong class", "missed", "hallucinated")
STATUS_COLOURS = ((126, 140, 158), (255, 190, 60), (255, 84, 89), (178, 108, 255))
CORRECT, WRONG_CLASS, MISSED, HALLUCINATED = range(4)

# Boxes that stand for the ego car: lower corner, upper corner (x forward, y left, z up; metres; the origin is
# on the ground below the rear axle), colour.
EGO_CAR = (
    ((-0.95, -0.90, 0.25), (3.75, 0.90, 0.95), (236, 242, 255)),
    ((-0.60, -0.80, 0.95), (2.20, 0.80, 1.45), (46, 56, 72)),
    ((-0.50, -0.78, 1.45), (1.90, 0.78, 1.55), (236, 242, 255)),
)


@dataclass(frozen=True)
class FrameView:
    """One key frame.

    Attributes:
        token: sample token.
        ground_truth: [Z, Y, X] uint8 label ids.
        prediction: [Z, Y, X] uint8 label ids.
        mask_camera: [Z, Y, X] bool, True = observed by a camera; None where the annotation has no mask.
        images: (camera name, [H, W, 3] uint8 RGB) in the order in which they are shown.
    """

    token: str
    ground_truth: np.ndarray
    prediction: np.ndarray
    mask_camera: np.ndarray | None = None
    images: Sequence[tuple[str, np.ndarray]] = ()


@dataclass(frozen=True)
class SceneView:
    """The frames of one scene, oldest first."""

    name: str
    frames: Sequence[FrameView]


@dataclass(frozen=True)
class LossCurve:
    """Values logged while training.

    Attributes:
        position: [P] steps or samples seen, ascending.
        values: name -> [P], NaN where a name was not logged.
        unit: what `position` counts, "step" or "samples".
    """

    position: np.ndarray
    values: Mapping[str, np.ndarray]
    unit: str = "step"


@dataclass(frozen=True)
class ResultTable:
    """Metrics of several runs under one protocol.

    Attributes:
        rows: run -> metric -> value, in the order in which they are shown. Fractions, as the evaluator gives
            them; a name with "AVE" is an error in m/s. NaN and metrics that a run lacks are left empty.
        protocol: what the figures depend on (masks, classes, profile, number of frames, command ...).
    """

    rows: Mapping[str, Mapping[str, float]]
    protocol: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class ReportData:
    """Everything that a report shows.

    Attributes:
        title: name of the run.
        space: meaning of the labels.
        grid: where the voxels are.
        scenes: what can be looked at.
        synthetic: True when the world was generated; the report says so where nobody can miss it.
        frame: frame of the grid; decides where "forward" is.
        curve: training log, if there is one.
        results: metrics, if there are any.
    """

    title: str
    space: LabelSpace
    grid: VoxelGrid
    scenes: Sequence[SceneView]
    synthetic: bool
    frame: VolumeFrame = "ego_lidar_time"
    curve: LossCurve | None = None
    results: ResultTable | None = None

    def __post_init__(self) -> None:
        for scene in self.scenes:
            for view in scene.frames:
                check_frame(view, self.grid, f"scene {scene.name}, token {view.token}")


def check_frame(view: FrameView, grid: VoxelGrid, name: str) -> None:
    """Raise a DataError naming the frame unless its arrays lie on the grid and its images are RGB."""
    for key in ("ground_truth", "prediction", "mask_camera"):
        array = getattr(view, key)
        if array is not None and array.shape != grid.zyx:
            raise DataError(
                f"{key} of {name} does not lie on the grid",
                found=array.shape,
                expected=f"{grid.zyx} as [Z, Y, X]",
            )
    for camera, image in view.images:
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise DataError(
                f"image {camera} of {name} is not an RGB image",
                found=f"{image.dtype} {image.shape}",
                expected="uint8 [H, W, 3]",
            )


def forward_yaw(frame: VolumeFrame) -> float:
    """Direction of travel, radians from +x of the grid: ego frames look along +x, the lidar along +y."""
    return np.pi / 2 if frame == "lidar" else 0.0


def difference(
    ground_truth: np.ndarray, prediction: np.ndarray, space: LabelSpace, mask: np.ndarray | None = None
) -> np.ndarray:
    """Compare two label volumes voxel by voxel.

    Args:
        ground_truth: [Z, Y, X] label ids.
        prediction: [Z, Y, X] label ids.
        space: meaning of the ids; voxels whose true label is `space.ignore` are not compared.
        mask: [Z, Y, X] bool, only these voxels are compared; None = all.

    Returns:
        [Z, Y, X] uint8: CORRECT, WRONG_CLASS, MISSED (truth occupied, prediction free), HALLUCINATED (the
        reverse), and NOTHING where both are free or nothing is compared.
    """
    real, claimed = ground_truth != space.free, prediction != space.free
    status = np.full(ground_truth.shape, NOTHING, np.uint8)
    status[real & claimed & (ground_truth == prediction)] = CORRECT
    status[real & claimed & (ground_truth != prediction)] = WRONG_CLASS
    status[real & ~claimed] = MISSED
    status[~real & claimed] = HALLUCINATED
    status[ground_truth == space.ignore] = NOTHING
    if mask is not None:
        status[~mask] = NOTHING
    return status
