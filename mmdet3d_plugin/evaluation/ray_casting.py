"""Evaluation rays and how they are cast: one definition, implementations that agree to the last bit.

`cast_rays` is written three times: here in vectorised PyTorch (the reference, any device), in
`ray_casting_numba.py` (CPU) and in `ray_casting_triton.py` (GPU), both compiled on first use where the compiler is
installed. Every origin of a frame and
several volumes over the same grid (prediction and truth) go through one call and share one traversal.
"""

from __future__ import annotations

import importlib.util
import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from ..errors import ConfigError, EvaluationError
from ..structures import VoxelGrid

Backend = Literal["auto", "torch", "numba", "triton"]
Start = Literal["truncate", "floor"]
Precision = Literal["double", "single"]

MAX_CELLS = 1001  # cells that a ray visits at most, also outside of the volume (spec/metrics 5.3)
MAX_VOLUMES = 7  # volumes in one call: a bit of a byte for each, and one for the wall around them
_NUM_AZIMUTHS = 360
_LAST_PITCH = 0.21  # rad; the first pitch at or above it is the last one
DOUBLE_MAX = torch.finfo(torch.float64).max


@dataclass
class RayHits:
    """Where the rays end, for V volumes, K origins and R rays.

    Attributes:
        cell: [V, K, R] int32, index of the end cell in the flattened `[Z, Y, X]` volume. It is the first
            occupied cell, or the last cell before the ray leaves the volume; 0 where the ray never enters.
        distance: [V, K, R] float32, metres from the origin to where the ray *leaves* the end cell; minus one
            voxel edge where the ray never enters.
        entered: [K, R] bool, False where the ray never enters the volume.
    """

    cell: Tensor
    distance: Tensor
    entered: Tensor

    def gather(self, volume: Tensor, index: int) -> Tensor:
        """Values of a volume at the end cells.

        Args:
            volume: [Z, Y, X].
            index: which of the V cast volumes the end cells are taken from.

        Returns:
            [K, R] in the dtype of the volume.
        """
        cell = self.cell[index]
        return volume.reshape(-1).index_select(0, cell.reshape(-1)).view(cell.shape)


@lru_cache(maxsize=4)
def ray_table(device: torch.device) -> Tensor:
    """The table that `lidar_rays` copies, made once for each device; not to be written to."""
    pitches = [-(math.pi / 2 - math.atan(k + 1)) for k in range(10)]
    step = pitches[-1] - pitches[-2]
    while pitches[-1] < _LAST_PITCH:
        pitches.append(pitches[-1] + step)
    azimuths = [math.radians(degree) for degree in range(_NUM_AZIMUTHS)]
    rows = [(math.cos(p) * math.cos(a), math.cos(p) * math.sin(a), math.sin(p)) for p in pitches for a in azimuths]
    return torch.tensor(rows, dtype=torch.float64).to(torch.float32).to(device)


def lidar_rays() -> Tensor:
    """Directions of the evaluation rays (spec/metrics 5.1).

    Ten pitches look down at circles of radius 1 to 10 sensor heights, more follow at the last spacing up to
    12.5 degrees above the horizon; every degree of azimuth.

    Returns:
        [14040, 3] float32 unit vectors along the axes of the ego frame, pitch-major.
    """
    return ray_table(torch.device("cpu")).clone()


def numba_available() -> bool:
    """True where the implementation for CPUs can be used."""
    return importlib.util.find_spec("numba") is not None


def _fastest(device: torch.device) -> Backend:
    if device.type == "cpu" and numba_available():
        return "numba"
    if device.type == "cuda" and importlib.util.find_spec("triton") is not None:
        return "triton"
    return "torch"


def cast_rays(
    occupied: Tensor,
    origins: Tensor,
    rays: Tensor,
    grid: VoxelGrid,
    *,
    start: Start = "truncate",
    precision: Precision = "double",
    backend: Backend = "auto",
) -> RayHits:
    """Follow rays from every origin to the first occupied voxel of each volume (spec/metrics 5.3).

    A ray steps from cell to cell (Amanatides and Woo 1987) in float64; of equal distances to the next face z
    is stepped before y before x. It ends in the first occupied cell, in the last cell before it leaves the
    volume, or after `MAX_CELLS` cells. It may start outside, and in an occupied cell.

    Args:
        occupied: [V, Z, Y, X] bool volumes over the grid, V <= 7.
        origins: [K, 3] float64, metres, frame of the grid.
        rays: [R, 3] float32, displacement from the origin to a second point of the ray, metres.
        grid: grid of cubic voxels.
        start: how a continuous index becomes the start cell: "truncate" towards zero as published (origins
            up to one voxel below the volume count as inside), or "floor".
        precision: in which the ends of a ray become continuous indices; the indices are rounded to float32
            either way. "single" is what the export of the OpenOcc challenge does (spec/metrics 5.3, D16).
        backend: "auto" takes numba on CPU and Triton on CUDA where they are installed, else PyTorch. All give
            equal bits.

    Raises:
        ConfigError: the voxels are not cubes.
        EvaluationError: a shape does not fit, an origin is not finite, or the backend cannot be used.
    """
    _check(occupied, origins, rays, grid)
    if backend == "auto":
        backend = _fastest(occupied.device)
    march = _march
    if backend == "triton":
        from .ray_casting_triton import march_volumes as march
    if backend == "numba":
        if occupied.device.type != "cpu":
            raise EvaluationError("the numba ray caster runs on CPU", found=occupied.device, fix="use backend='torch'")
        from .ray_casting_numba import march_volumes as march
    device = occupied.device
    dtype = torch.float64 if precision == "double" else torch.float32
    lower, edge = _corner_and_edge(grid, device, dtype)
    first = origins.to(device, dtype)[:, :, None]
    second = first + rays.to(device, torch.float32).T
    ends = [(p - lower).div_(edge).float() for p in (first, second)]
    cell, exit_distance, entered = march(occupied, ends[0], ends[1], start == "floor")
    return RayHits(cell, exit_distance.mul_(edge.float()), entered)


@lru_cache(maxsize=8)
def _corner_and_edge(grid: VoxelGrid, device: torch.device, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Lower corner [3, 1] and voxel edge [] in metres. The published rule takes both as float32 numbers, whatever it
    computes in; kept on the device, so that no frame waits for a copy."""
    lower = torch.tensor(grid.lower, dtype=torch.float32)[:, None]
    edge = torch.tensor(grid.voxel_size[0], dtype=torch.float32)
    return lower.to(device, dtype), edge.to(device, dtype)


def _check(occupied: Tensor, origins: Tensor, rays: Tensor, grid: VoxelGrid) -> None:
    sizes = grid.voxel_size
    if max(sizes) - min(sizes) > 1e-6:
        raise ConfigError("rays are cast through cubic voxels only", found=f"voxel size {sizes} m")
    if occupied.dim() != 4 or tuple(occupied.shape[1:]) != grid.zyx or not 1 <= len(occupied) <= MAX_VOLUMES:
        raise EvaluationError(
            "volumes to cast rays into do not fit the grid",
            found=tuple(occupied.shape),
            expected=f"(V, *{grid.zyx}) with 1 <= V <= {MAX_VOLUMES}",
        )
    for name, value in (("origins", origins), ("rays", rays)):
        if value.dim() != 2 or value.shape[1] != 3:
            raise EvaluationError(f"{name} of rays need three columns", found=tuple(value.shape), expected="(N, 3)")
        known = value is ray_table(value.device)  # asking a GPU would stop it once a frame
        if not known and not bool(torch.isfinite(value).all()):
            raise EvaluationError(f"{name} of rays hold a value that is not finite")


class _Rays(NamedTuple):
    """M rays before their first step, [M, 3] along x, y, z; voxels.

    Attributes:
        cell: int64 start cell.
        step: int64, 1 or -1.
        upcoming: float64 distance along the ray to the next face across each axis.
        delta: float64 distance between such faces.
    """

    cell: Tensor
    step: Tensor
    upcoming: Tensor
    delta: Tensor


def _prepare(first: Tensor, second: Tensor, floor: bool) -> _Rays:
    """Rays from the continuous indices of their ends, float32 [K, 3, 1] and [K, 3, R]."""
    start = first.double().expand_as(second).transpose(1, 2).reshape(-1, 3)
    end = second.double().transpose(1, 2).reshape(-1, 3)
    span = end - start
    length = torch.sqrt(span[:, 0] * span[:, 0] + span[:, 1] * span[:, 1] + span[:, 2] * span[:, 2])
    direction = span / length[:, None]
    cell = (torch.floor(start) if floor else torch.trunc(start)).long()
    step = torch.where(direction >= 0, 1, -1)
    moving = direction != 0
    upcoming = torch.where(moving, (cell + (step > 0) - start) / direction, DOUBLE_MAX)
    return _Rays(cell, step, upcoming, torch.where(moving, step / direction, DOUBLE_MAX))


def _march(occupied: Tensor, first: Tensor, second: Tensor, floor: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Reference traversal: all rays take one step at a time, finished rays drop out.

    Args:
        occupied: [V, Z, Y, X] bool.
        first: [K, 3, 1] float32 origins, continuous index along x, y, z.
        second: [K, 3, R] float32 second points of the rays, continuous index.
        floor: floor instead of truncate the index of the start cell.

    Returns:
        cell [V, K, R] int32, exit distance [V, K, R] float32 in voxels, entered [K, R] bool.
    """
    device, volumes = occupied.device, len(occupied)
    shape = torch.tensor(occupied.shape[:0:-1], device=device)  # X, Y, Z
    stride = torch.stack((torch.ones_like(shape[0]), shape[0], shape[0] * shape[1]))
    lookup = occupied.reshape(volumes, -1)
    origins, _, rays = second.shape
    count = origins * rays
    cell, step, upcoming, delta = _prepare(first, second, floor)

    last = torch.zeros((volumes, count), dtype=torch.int64, device=device)
    leave = torch.full((volumes, count), -1.0, dtype=torch.float64, device=device)
    pending = torch.ones((volumes, count), dtype=torch.bool, device=device)
    entered = torch.zeros(count, dtype=torch.bool, device=device)
    ray = torch.arange(count, device=device)
    for _ in range(MAX_CELLS):
        x, y, z = upcoming.unbind(1)
        axis = torch.where(x < y, torch.where(x < z, 0, 2), torch.where(y < z, 1, 2))[:, None]
        inside = ((cell >= 0) & (cell < shape)).all(dim=1)
        flat = torch.where(inside, (cell * stride).sum(dim=1), 0)
        update = pending[:, ray] & inside
        last[:, ray] = torch.where(update, flat, last[:, ray])
        leave[:, ray] = torch.where(update, upcoming.gather(1, axis)[:, 0], leave[:, ray])
        pending[:, ray] &= ~(inside & lookup[:, flat])
        goes_on = pending[:, ray].any(dim=0) & (inside | ~entered[ray])
        entered[ray] |= inside
        cell.scatter_add_(1, axis, step.gather(1, axis))
        upcoming.scatter_add_(1, axis, delta.gather(1, axis))
        ray, cell, step, upcoming, delta = (v[goes_on] for v in (ray, cell, step, upcoming, delta))
        if len(ray) == 0:
            break
    size = (volumes, origins, rays)
    return last.to(torch.int32).view(size), leave.float().view(size), entered.view(size[1:])
