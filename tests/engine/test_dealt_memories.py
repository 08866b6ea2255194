"""Lanes of a saved stream among another number of processes, with memories inside of memories."""

from __future__ import annotations

import torch

from mmdet3d_plugin.engine import checkpoint, distributed
from mmdet3d_plugin.models.temporal import HistoryMemory
from mmdet3d_plugin.models.temporal.gdfusion import GDFusionMemory
from mmdet3d_plugin.models.temporal.voxel_memory import VoxelMemory
from mmdet3d_plugin.structures import TemporalState


def state(first: int) -> TemporalState:
    lanes = torch.arange(first, first + 2)
    augmentation = torch.eye(4) * lanes.view(2, 1, 1)
    voxel = VoxelMemory(lanes, lanes.view(2, 1, 1, 1, 1).float())
    history = HistoryMemory(lanes, lanes.view(2, 1, 1, 1, 1).float(), lanes.view(2, 1).float(), augmentation)
    return TemporalState({"temporal": GDFusionMemory(lanes, augmentation, voxel), "other": history})


def test_two_lanes_of_two_processes_become_one_lane_of_four(tmp_path, monkeypatch):
    for rank in range(2):
        torch.save({"rng": {}, "stream": state(2 * rank).state_dict()}, tmp_path / f"rank_{rank}.pth")
    monkeypatch.setattr(distributed, "world_size", lambda: 4)
    for rank in range(4):
        monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
        own = checkpoint.load_own_state(tmp_path, 2)
        assert own["rng"] is None
        mine = TemporalState.from_state_dict(own["stream"])
        fused = mine.get("temporal")
        assert isinstance(fused, GDFusionMemory)
        assert fused.age.tolist() == fused.voxel.age.tolist() == mine.get("other").age.tolist() == [rank]
        assert fused.voxel.features.flatten().tolist() == [rank]
        assert fused.motion is fused.scene is None
