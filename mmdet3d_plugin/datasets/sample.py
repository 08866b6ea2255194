"""One loaded key frame, before it becomes part of a batch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..structures import VolumeFrame


@dataclass
class Sample:
    """Arrays of one key frame; the fields of `Frame` and `OccTargets` without the batch axis.

    Attributes:
        images: [N, 3, H, W] uint8 RGB.
        ego_from_cam: [N, 4, 4] float32 camera to volume frame before scene augmentation, metres.
        pixel_from_cam: [N, 3, 3] float32 intrinsics of the original images.
        crop_from_pixel: [N, 3, 3] float32 image augmentation.
        grid_from_ego: [4, 4] float32 scene augmentation.
        sequence_id: number of the sequence.
        starts_sequence: the key frame is the first of its sequence.
        prev_from_ego: [4, 4] float32 motion since the previous key frame of the sequence, metres.
        time: seconds.
        token: sample token.
        frame: name of the volume frame.
        adjacent_images: [N, 3, H, W] uint8 RGB of the previous key frame of the scene, or None.
        adjacent_from_cam: [N, 4, 4] float32, or None.
        lidar_depth: [N, H, W] float32 metres as an input of the model, or None.
        past_images: [T, N, 3, H, W] uint8 RGB before the key frame, newest first; these five fields are None unless the
            data set has a history of images, see `PastImages`.
        past_ego_from_cam: [T, N, 4, 4] float32 cameras of these images to the volume frame of `ego_from_cam`, metres.
        past_pixel_from_cam: [T, N, 3, 3] float32 intrinsics of the original past images.
        past_time: [T, N] float64 seconds.
        image_time: [N] float64 seconds of the images.
        occupancy, mask_camera, mask_lidar, flow, depth, image_semantics, ray_origins: see `OccTargets`; None
            where they were not asked for.
        faults: what could not be read, a message for each file.
        usable: the sample may be trained on and scored.
    """

    images: np.ndarray
    ego_from_cam: np.ndarray
    pixel_from_cam: np.ndarray
    crop_from_pixel: np.ndarray
    grid_from_ego: np.ndarray
    sequence_id: int
    starts_sequence: bool
    prev_from_ego: np.ndarray
    time: float
    token: str
    frame: VolumeFrame
    adjacent_images: np.ndarray | None = None
    adjacent_from_cam: np.ndarray | None = None
    lidar_depth: np.ndarray | None = None
    past_images: np.ndarray | None = None
    past_ego_from_cam: np.ndarray | None = None
    past_pixel_from_cam: np.ndarray | None = None
    past_time: np.ndarray | None = None
    image_time: np.ndarray | None = None
    occupancy: np.ndarray | None = None
    mask_camera: np.ndarray | None = None
    mask_lidar: np.ndarray | None = None
    flow: np.ndarray | None = None
    depth: np.ndarray | None = None
    image_semantics: np.ndarray | None = None
    ray_origins: np.ndarray | None = None
    faults: tuple[str, ...] = ()
    usable: bool = True
