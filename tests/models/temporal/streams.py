"""Frames and features for tests of stages that remember."""

from __future__ import annotations

import torch

from mmdet3d_plugin.structures import CameraRig, Frame, FrameMeta, VoxelGrid

BEV = VoxelGrid((-4.0, -3.0, -1.0), (4.0, 3.0, 3.0), (8, 6, 1))
VOXELS = VoxelGrid((-4.0, -3.0, -1.0), (4.0, 3.0, 3.0), (8, 6, 4))
GDFUSION_PARTS = {
    "voxel": {"type": "RecurrentFusion"},
    "motion": {"type": "MotionField"},
    "scene": {"type": "SceneAdapter"},
}


def moved_frame(
    shift: tuple[float, float, float] = (0.0, 0.0, 0.0),
    starts: tuple[bool, ...] = (False,),
    grid_from_ego: torch.Tensor | None = None,
) -> Frame:
    """A frame without cameras whose ego vehicle moved by `shift` metres (x, y, z) since the one before."""
    lanes = len(starts)
    prev_from_ego = torch.eye(4).repeat(lanes, 1, 1)
    prev_from_ego[:, :3, 3] = torch.tensor(shift)
    scene = torch.eye(4).repeat(lanes, 1, 1) if grid_from_ego is None else grid_from_ego
    none = torch.zeros(lanes, 0, 4, 4)
    rig = CameraRig(none, none[..., :3, :3], none[..., :3, :3], scene)
    lane = torch.arange(lanes)
    meta = FrameMeta(lane, torch.tensor(starts), prev_from_ego, lane.double(), ("t",) * lanes)
    return Frame(torch.zeros(lanes, 0, 3, 4, 4), rig, meta)


def random_features(grid: VoxelGrid, channels: int, lanes: int = 1, seed: int = 0) -> torch.Tensor:
    """Normal features [B, C, Z, Y, X]."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(lanes, channels, *grid.zyx, generator=generator)
