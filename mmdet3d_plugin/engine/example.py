"""A frame made up from a config, to run a model where there is no data."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from itertools import count
from typing import Any

import torch

from ..errors import ConfigError
from ..structures import AdjacentImages, CameraRig, Frame, FrameMeta

_CAMERAS = {"WaymoOccDataset": 5, "FourCameraDataset": 4}  # of the vehicles of data sets; six of all others
_EXAMPLES = 4  # different frames of a stream, played round and round
_EGO_STEP = 2.0  # metres between key frames


def image_shape(cfg: Any) -> tuple[int, int]:
    """(height, width) of the network input of a config."""
    try:
        height, width = cfg.test_dataloader.dataset.image.size
    except (AttributeError, ValueError) as error:
        raise ConfigError(f"the config {cfg.filename} does not say how large images are", fix="give --shape") from error
    return height, width


def example_frame(cfg: Any, number: int, shape: tuple[int, int], lanes: int = 1) -> Frame:
    """Frame `number` of a drive straight ahead with the cameras of the vehicle all around it and random images.

    Args:
        cfg: a config; says whether the model takes adjacent images or lidar depth.
        number: position in the sequence; 0 starts it.
        shape: (height, width) of the images.
        lanes: batch size.
    """
    generator = torch.Generator().manual_seed(number)
    data = cfg.test_dataloader.dataset
    cameras = _CAMERAS.get(data.type, 6)
    size = (lanes, cameras, 3, *shape)
    prev_from_ego = torch.eye(4).repeat(lanes, 1, 1)
    prev_from_ego[:, 0, 3] = _EGO_STEP if number else 0.0
    meta = FrameMeta(
        sequence_id=torch.arange(lanes),
        starts_sequence=torch.full((lanes,), number == 0),
        prev_from_ego=prev_from_ego,
        time=torch.full((lanes,), 0.5 * number, dtype=torch.float64),
        token=tuple(f"example-{lane}-{number}" for lane in range(lanes)),
    )

    def images() -> torch.Tensor:
        return torch.randint(0, 256, size, generator=generator, dtype=torch.uint8)

    adjacent = None
    if data.get("load_adjacent"):
        adjacent = AdjacentImages(images(), torch.eye(4).repeat(lanes, cameras, 1, 1))
    lidar_depth = None
    if (data.get("depth") or {}).get("as_input"):
        lidar_depth = torch.rand((lanes, cameras, *shape), generator=generator) * 40.0
    return Frame(images(), _rig(shape, lanes, cameras), meta, adjacent, lidar_depth)


def example_stream(cfg: Any, shape: tuple[int, int], device: torch.device | str = "cpu") -> Iterator[Frame]:
    """An endless drive: the first frame starts a sequence, and images repeat after a while, time does not.

    Args:
        cfg: see :func:`example_frame`.
        shape: (height, width) of the images.
        device: where the frames are.
    """
    yield example_frame(cfg, 0, shape).to(device)
    examples = [example_frame(cfg, 1 + n, shape).to(device) for n in range(_EXAMPLES)]
    for number in count(1):
        example = examples[(number - 1) % _EXAMPLES]
        time = torch.full_like(example.meta.time, 0.5 * number)
        meta = dataclasses.replace(example.meta, time=time, token=(f"example-0-{number}",))
        yield dataclasses.replace(example, meta=meta)


def _rig(shape: tuple[int, int], lanes: int, cameras: int) -> CameraRig:
    """Cameras 1.5 m above the ground that look around in steps of 60 degrees, 70 degrees wide."""
    axes = torch.tensor([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])  # ego from camera at yaw 0
    ego_from_cam = torch.eye(4).repeat(lanes, cameras, 1, 1)
    for camera in range(cameras):
        cosine, sine = math.cos(camera * math.pi / 3), math.sin(camera * math.pi / 3)
        yaw = torch.tensor([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]])
        ego_from_cam[:, camera, :3, :3] = yaw @ axes
    ego_from_cam[..., 2, 3] = 1.5
    height, width = shape
    focal = width / (2.0 * math.tan(math.radians(35.0)))
    pixel_from_cam = torch.tensor([[focal, 0.0, width / 2], [0.0, focal, height / 2], [0.0, 0.0, 1.0]])
    return CameraRig(
        ego_from_cam,
        pixel_from_cam.repeat(lanes, cameras, 1, 1),
        torch.eye(3).repeat(lanes, cameras, 1, 1),
        torch.eye(4).repeat(lanes, 1, 1),
    )
