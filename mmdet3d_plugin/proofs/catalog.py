"""What is claimed, by which configs, on which world."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Overfit:
    """A toy model learns one sequence by heart.

    Attributes:
        config: stem of a config in `configs/synthetic`, scored on the sequence that it is trained on.
        measure: "mIoU@camera" must exceed 85 %; "velocity" must err at most half as much as a model which says that
            nothing moves.
        world: preset of the synthetic world.
    """

    config: str
    measure: Literal["mIoU@camera", "velocity"] = "mIoU@camera"
    world: str = "sequence"


@dataclass(frozen=True)
class Comparison:
    """One config must beat another one on scenes that neither was trained on.

    Attributes:
        better, worse: stems of configs in `configs/synthetic`.
        measure: what is compared.
        world: preset of the synthetic world.
    """

    better: str
    worse: str
    measure: Literal["mIoU@camera", "occluded movers"]
    world: str = "small"


PROOFS: dict[str, Overfit | Comparison] = {
    "overfit_alocc": Overfit("overfit_alocc"),
    "overfit_bevdetocc": Overfit("overfit_bevdetocc"),
    "overfit_gdfusion": Overfit("overfit_gdfusion"),
    "overfit_aloccflow": Overfit("overfit_aloccflow", "velocity"),
    "lidar_depth": Comparison("lidar_depth", "camera_depth", "mIoU@camera"),
    "temporal_fusion": Comparison("lidar_depth_gdfusion", "lidar_depth", "occluded movers"),
}
