"""Small worlds with a known answer, shared by the tests of the metrics."""

from __future__ import annotations

import torch
from torch import Tensor

from mmdet3d_plugin.structures import OCC3D_NUSCENES, OccTargets, VoxelGrid

SPACE = OCC3D_NUSCENES
FREE = SPACE.free
CAR = SPACE.index("car")
GRID = VoxelGrid((-40.0, -40.0, -1.0), (40.0, 40.0, 5.4), (200, 200, 16))
SMALL = VoxelGrid((-4.0, -4.0, -1.0), (4.0, 4.0, 0.6), (20, 20, 4))


def free_volume(grid: VoxelGrid = SMALL) -> Tensor:
    """[1, Z, Y, X] without an obstacle."""
    return torch.full((1, *grid.zyx), FREE, dtype=torch.uint8)


def random_labels(seed: int, share_free: float = 0.8, grid: VoxelGrid = SMALL) -> Tensor:
    """[1, Z, Y, X] independent labels, most of them free."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, SPACE.num_classes, (1, *grid.zyx), generator=generator, dtype=torch.uint8)
    free = torch.rand(labels.shape, generator=generator) < share_free
    return labels.masked_fill(free, FREE)


def random_mask(seed: int, grid: VoxelGrid = SMALL) -> Tensor:
    """[1, Z, Y, X] bool."""
    return torch.rand((1, *grid.zyx), generator=torch.Generator().manual_seed(seed)) < 0.6


def targets(truth: Tensor, mask: Tensor | None = None, origins: list | None = None) -> OccTargets:
    """Targets of one sample; rays start near the centre of the volume by default."""
    points = torch.tensor(origins or [[0.1, 0.2, 0.1]], dtype=torch.float64)
    return OccTargets(occupancy=truth, mask_camera=mask, ray_origins=(points,) * len(truth))


def cylinder(radius: float, label: int = CAR, grid: VoxelGrid = GRID) -> Tensor:
    """[1, Z, Y, X]: a wall of one label, everything further from the z axis than a radius in metres."""
    centers = grid.centers(dtype=torch.float64)
    wall = centers[..., :2].norm(dim=-1) >= radius
    return torch.where(wall, label, FREE).to(torch.uint8)[None]
