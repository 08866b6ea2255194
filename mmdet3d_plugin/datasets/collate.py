"""From loaded key frames to a batch."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import cv2
import numpy as np
import torch
from torch import Tensor

from ..structures import AdjacentImages, CameraRig, Frame, FrameMeta, OccBatch, OccTargets, PastImages
from .sample import Sample


def collate(samples: Sequence[Sample]) -> OccBatch:
    """Stack key frames of B streams into a batch of one frame and its targets.

    Args:
        samples: one per lane, all loaded by the same data set.

    Returns:
        tensors on the CPU; a batch of one shares the memory of its sample.
    """

    def stacked(field: str) -> Tensor | None:
        arrays = [getattr(sample, field) for sample in samples]
        if arrays[0] is None:
            return None
        return torch.from_numpy(arrays[0][None] if len(arrays) == 1 else np.stack(arrays))

    meta = FrameMeta(
        sequence_id=torch.tensor([s.sequence_id for s in samples], dtype=torch.int64),
        starts_sequence=torch.tensor([s.starts_sequence for s in samples], dtype=torch.bool),
        prev_from_ego=stacked("prev_from_ego"),
        time=torch.tensor([s.time for s in samples], dtype=torch.float64),
        token=tuple(s.token for s in samples),
        frame=samples[0].frame,
    )
    rig = CameraRig(*(stacked(field.name) for field in dataclasses.fields(CameraRig)))
    adjacent = None
    if samples[0].adjacent_images is not None:
        adjacent = AdjacentImages(stacked("adjacent_images"), stacked("adjacent_from_cam"))
    past = None
    if samples[0].past_images is not None:
        fields = ("past_images", "past_ego_from_cam", "past_pixel_from_cam", "past_time", "image_time")
        past = PastImages(*map(stacked, fields))
    frame = Frame(stacked("images"), rig, meta, adjacent, stacked("lidar_depth"), past)
    dense = {f.name: stacked(f.name) for f in dataclasses.fields(OccTargets) if f.name != "ray_origins"}
    origins = None
    if samples[0].ray_origins is not None:
        origins = tuple(torch.from_numpy(s.ray_origins) for s in samples)
    targets = OccTargets(**dense, ray_origins=origins)
    empty = origins is None and all(value is None for value in dense.values())
    faults = tuple("; ".join(s.faults) for s in samples)
    return OccBatch((frame,), None if empty else targets, faults, tuple(s.usable for s in samples))


def init_worker(worker_id: int) -> None:
    """Keep a loader process on one core (`worker_init_fn` of a DataLoader): the processes are parallel."""
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
