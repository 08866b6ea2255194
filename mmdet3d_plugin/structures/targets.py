"""What a frame is trained on and scored against."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from .frame import Frame
from .record import TensorRecord


@dataclass
class OccTargets(TensorRecord):
    """Ground truth of a batch; every field is None where the task does not need it.

    Attributes:
        occupancy: [B, Z, Y, X] uint8 label ids of the data set's LabelSpace, 255 = ignored. In training,
            voxels outside of the training mask are 255 already.
        mask_camera, mask_lidar: [B, Z, Y, X] bool, True = observed. For evaluation.
        flow: [B, 2, Z, Y, X] float32 (v_x, v_y) in m/s along the axes of the augmented volume frame, inf = no
            label.
        depth: [B, N, H, W] float32 z-depth of lidar returns in the network input, metres, 0 = none.
        image_semantics: [B, N, H, W] uint8 label ids of the same LabelSpace, 255 = none.
        ray_origins: per sample [K, 3] float64 origins of the evaluation rays, volume frame, metres (K <= 8).
    """

    occupancy: Tensor | None = None
    mask_camera: Tensor | None = None
    mask_lidar: Tensor | None = None
    flow: Tensor | None = None
    depth: Tensor | None = None
    image_semantics: Tensor | None = None
    ray_origins: tuple[Tensor, ...] | None = None


@dataclass
class OccBatch(TensorRecord):
    """What collation makes: frames oldest first (one for streaming methods), and targets of the last.

    Attributes:
        frames: B samples each.
        targets: of the last frame.
        faults: per sample what could not be read, "" = nothing; empty where nobody asked.
        usable: per sample whether it may be trained on and scored; empty where nobody asked.
    """

    frames: tuple[Frame, ...]
    targets: OccTargets | None = None
    faults: tuple[str, ...] = ()
    usable: tuple[bool, ...] = ()
