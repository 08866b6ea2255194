"""The voxel grid: the only place that knows where in a voxel its centre lies."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ..errors import ConfigError

Anchor = Literal["center", "corner"]


@dataclass(frozen=True)
class VoxelGrid:
    """An axis-aligned box of equal voxels, in metres, in the frame that `FrameMeta.frame` names.

    Attributes:
        lower, upper: corners of the box, (x, y, z) in metres. The box is half open: lower <= p < upper.
        shape: number of voxels along (x, y, z).

    Tensors over the grid are `[..., Z, Y, X]`. The *continuous index* of a point is (p - lower) / voxel_size:
    voxel i covers [i, i + 1) and has its centre at i + 0.5.
    """

    lower: tuple[float, float, float]
    upper: tuple[float, float, float]
    shape: tuple[int, int, int]

    def __post_init__(self) -> None:
        for name in ("lower", "upper", "shape"):
            value = tuple(getattr(self, name))
            if len(value) != 3:
                raise ConfigError(f"VoxelGrid.{name} needs three values (x, y, z)", found=value)
            object.__setattr__(self, name, value)
        if any(u <= lo for lo, u in zip(self.lower, self.upper)) or any(n < 1 for n in self.shape):
            raise ConfigError("VoxelGrid is empty", found=self, expected="lower < upper and shape >= 1 on every axis")

    @classmethod
    def from_config(cls, cfg: VoxelGrid | dict) -> VoxelGrid:
        """Build from a config value: `dict(lower=..., upper=..., shape=...)`, or pass a grid through."""
        if isinstance(cfg, VoxelGrid):
            return cfg
        if set(cfg) != {"lower", "upper", "shape"}:
            raise ConfigError(
                "a grid needs lower, upper and shape",
                found=dict(cfg),
                fix="name a data set file in `_base_`: its `grid` completes grids of the model that give a shape only",
            )
        return cls(**cfg)

    @property
    def voxel_size(self) -> tuple[float, float, float]:
        """Edge lengths of a voxel along (x, y, z), metres."""
        return tuple((u - lo) / n for lo, u, n in zip(self.lower, self.upper, self.shape))  # type: ignore[return-value]

    @property
    def zyx(self) -> tuple[int, int, int]:
        """Shape of a tensor over the grid: (Z, Y, X)."""
        return self.shape[2], self.shape[1], self.shape[0]

    @property
    def num_voxels(self) -> int:
        return math.prod(self.shape)

    @property
    def is_bev(self) -> bool:
        """True for a bird's-eye-view map, which is a grid with one slab of voxels."""
        return self.shape[2] == 1

    def collapsed(self) -> VoxelGrid:
        """The bird's-eye-view grid of the same box: one voxel along z."""
        return VoxelGrid(self.lower, self.upper, (self.shape[0], self.shape[1], 1))

    def continuous_index(self, points: Tensor) -> Tensor:
        """Continuous index of points.

        Args:
            points: [..., 3] (x, y, z) in metres, frame of the grid.

        Returns:
            [..., 3] index along (x, y, z), unit voxels; `floor` of it is the voxel that holds the point.
        """
        lower, size = points.new_tensor(self.lower), points.new_tensor(self.voxel_size)
        return (points - lower) / size

    def metric_from_index(self, anchor: Anchor = "center", *, dtype: torch.dtype = torch.float64) -> Tensor:
        """Affine map from integer voxel indices to metres, [4, 4] on column vectors (ix, iy, iz, 1).

        `anchor` says where in its voxel an index sits: "center" is right for features pooled from the whole
        voxel, "corner" is what the published models use for history warping (spec/04 section 4.1, spec/99
        A7).
        """
        offset = 0.5 if anchor == "center" else 0.0
        matrix = torch.eye(4, dtype=dtype)
        for axis, (lower, size) in enumerate(zip(self.lower, self.voxel_size)):
            matrix[axis, axis] = size
            matrix[axis, 3] = lower + offset * size
        return matrix

    def centers(self, *, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32) -> Tensor:
        """Centres of all voxels, [Z, Y, X, 3] as (x, y, z) in metres."""
        x, y, z = (
            lo + size * (torch.arange(n, device=device, dtype=dtype) + 0.5)
            for lo, size, n in zip(self.lower, self.voxel_size, self.shape)
        )
        zz, yy, xx = torch.meshgrid(z, y, x, indexing="ij")
        return torch.stack((xx, yy, zz), dim=-1)

    def require_match(self, other: VoxelGrid, this: str, that: str) -> None:
        """Raise a ConfigError that prints both grids unless they describe the same voxels."""
        same = self.shape == other.shape and all(
            math.isclose(a, b, abs_tol=1e-6) for a, b in zip(self.lower + self.upper, other.lower + other.upper)
        )
        if not same:
            raise ConfigError(
                f"the grid of {this} does not match the grid of {that}",
                found=f"{this}: {self}",
                expected=f"{that}: {other}",
                fix="use the same grid in the model and in the data set config",
            )
