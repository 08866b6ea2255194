"""An evaluation keeps nothing but counts: as much memory for 100 frames as for 10."""

from __future__ import annotations

import dataclasses
import json
import os
import pickle
import subprocess
import sys
import tempfile
from pathlib import Path

import engine_toy
import numpy as np
import pytest
import torch
from torch import Tensor

from mmdet3d_plugin.datasets.sample import Sample
from mmdet3d_plugin.engine import evaluate
from mmdet3d_plugin.evaluation import OccupancyEvaluator
from mmdet3d_plugin.models.occupancy_model import OccupancyModel
from mmdet3d_plugin.registry import MODELS
from mmdet3d_plugin.structures import OccLabels, OccPrediction, VoxelGrid

GRID = VoxelGrid((-20.0, -20.0, -1.0), (20.0, 20.0, 5.4), (100, 100, 16))
ENLARGED = (8, 25, 25)  # of (Z, Y, X) = (2, 4, 4)
METRICS = ("miou", "ray_iou", "flow", "challenge")
FEW, MANY, FRAMES_OF_A_SCENE = 10, 100, 5
RESIDENT = Path("/proc/self/statm")
# Memory that is freed goes back to the system at once, else the gaps between pieces in use would count.
ALLOCATOR = {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": "65536"}


class LargeDataset(engine_toy.ToyDataset):
    """Toy scenes with every voxel enlarged; looks at the memory of the process before every frame."""

    label_space, grid = dataclasses.replace(engine_toy.SPACE, flow=(0, 1)), GRID

    def __init__(self, frames: int):
        super().__init__((FRAMES_OF_A_SCENE,) * (frames // FRAMES_OF_A_SCENE))
        self.peak = 0

    def __getitem__(self, request: int | tuple[int, int]) -> Sample:
        self.peak = max(self.peak, int(RESIDENT.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"))
        sample = super().__getitem__(request)
        sample.occupancy = np.kron(sample.occupancy, np.ones(ENLARGED, np.uint8))
        sample.mask_camera = sample.occupancy < 2
        sample.flow = np.ones((2, *GRID.zyx), np.float32)
        sample.ray_origins = np.array([[0.0, 0.0, 1.0]])
        return sample


class LargeHead(engine_toy.ToyHead):
    """Decodes logits and enlarges the labels; its flow is rest."""

    def decode(self, prediction: OccPrediction) -> OccLabels:
        labels = torch.kron(super().decode(prediction).occupancy, torch.ones((1, *ENLARGED), dtype=torch.uint8))
        return OccLabels(labels, torch.zeros(1, 2, *GRID.zyx))


@MODELS.register_module()
class LargeNetwork(engine_toy.ToyNetwork):
    """The toy network with a head for large volumes."""

    def __init__(self) -> None:
        super().__init__()
        self.head = LargeHead()


class KeepsVolumes(OccupancyEvaluator):
    """What the bound must find out."""

    def update(self, occupancy: Tensor, *arguments: object) -> None:
        self.kept = [*getattr(self, "kept", []), occupancy]
        super().update(occupancy, *arguments)


def measure() -> dict[str, int]:
    """Peak of the resident memory, and size of the counts, in bytes."""
    torch.set_num_threads(1)
    model = OccupancyModel({"type": "ToyPreprocessor"}, {"type": "LargeNetwork"}, [])

    def run(frames: int, kind: type[OccupancyEvaluator] = OccupancyEvaluator) -> tuple[int, int]:
        dataset = LargeDataset(frames)
        with tempfile.TemporaryDirectory() as folder:
            result = evaluate(model, dataset, kind(dataset.label_space, GRID, METRICS), save_dir=folder)
        assert len(result.state.tokens) == frames
        return dataset.peak, len(pickle.dumps(result.state))

    run(FEW)  # compiles, and fills caches
    few, many, keeping = run(FEW), run(MANY), run(MANY, KeepsVolumes)
    return {"few": few[0], "many": many[0], "keeping": keeping[0], "counts_few": few[1], "counts_many": many[1]}


@pytest.mark.skipif(not RESIDENT.exists(), reason="reads the memory of a process as Linux tells it")
def test_memory_does_not_grow_with_the_number_of_frames():
    """In a process of its own: in this one, free memory of earlier tests would hide what is kept."""
    child = subprocess.run([sys.executable, __file__], env=os.environ | ALLOCATOR, capture_output=True, text=True)
    assert child.returncode == 0, child.stderr
    found = json.loads(child.stdout.splitlines()[-1])
    volumes = (MANY - FEW) * GRID.num_voxels  # one byte a voxel
    assert found["many"] - found["few"] < volumes / 4
    assert found["keeping"] - found["few"] > volumes / 2
    assert found["counts_many"] - found["counts_few"] < (MANY - FEW) * 2 * len("token000")


if __name__ == "__main__":
    print(json.dumps(measure()))
