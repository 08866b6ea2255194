"""A frame made up from a config, to run a model where there is no data."""

from __future__ import annotations

import math
from typing import Any

import torch

from ..errors import ConfigError
from ..structures import AdjacentImages, CameraRig, Frame, FrameMeta

_CAMERAS = 6
_EGO_STEP = 2.0  # metres between key frames


def image_shape(cfg: Any) -> tuple[int, int]:
    """(height, width) of the network input of a config."""
    try:
        height, width = cfg.test_dataloader.dataset.image.size
    except (AttributeError, ValueError) as error:
        raise ConfigError(f"the config {cfg.filename} does not say how large images are", fix="give --shape") from error
    return height, width


def example_frame(cfg: Any, number: int, shape: tuple[int, int], lanes: int = 1) -> Frame:
    """Frame `number` of a drive straight ahead with six cameras around the vehicle and random images.

    Args:
        cfg: a config; says whether the model takes adjacent images or lidar depth.
        number: position in the sequence; 0 starts it.
        shape: (height, width) of the images.
        lanes: batch size.
    """
    generator = torch.Generator().manual_seed(number)
    data = cfg.test_dataloader.dataset
    size = (lanes, _CAMERAS, 3, *shape)
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
        adjacent = AdjacentImages(images(), torch.eye(4).repeat(lanes, _CAMERAS, 1, 1))
    lidar_depth = None
    if (data.get("depth") or {}).get("as_input"):
        lidar_depth = torch.rand((lanes, _CAMERAS, *shape), generator=generator) * 40.0
    return Frame(images(), _rig(shape, lanes), meta, adjacent, lidar_depth)


def _rig(shape: tuple[int, int], lanes: int) -> CameraRig:
    """Cameras 1.5 m above the ground that look around in steps of 60 degrees, 70 degrees wide."""
    axes = torch.tensor([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])  # ego from camera at yaw 0
    ego_from_cam = torch.eye(4).repeat(lanes, _CAMERAS, 1, 1)
    for camera in range(_CAMERAS):
        cosine, sine = math.cos(camera * math.pi / 3), math.sin(camera * math.pi / 3)
        yaw = torch.tensor([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]])
        ego_from_cam[:, camera, :3, :3] = yaw @ axes
    ego_from_cam[..., 2, 3] = 1.5
    height, width = shape
    focal = width / (2.0 * math.tan(math.radians(35.0)))
    pixel_from_cam = torch.tensor([[focal, 0.0, width / 2], [0.0, focal, height / 2], [0.0, 0.0, 1.0]])
    return CameraRig(
        ego_from_cam,
        pixel_from_cam.repeat(lanes, _CAMERAS, 1, 1),
        torch.eye(3).repeat(lanes, _CAMERAS, 1, 1),
        torch.eye(4).repeat(lanes, 1, 1),
    )
