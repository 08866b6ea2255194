"""A world that fits in a page: a data set in memory and a network with batch norm, dropout and a history.

Everything that makes exact resumption hard is in it: random augmentation by draw, dropout, running
statistics, tied weights and a memory that carries the past.
"""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass

import numpy as np
import torch
from mmengine.hooks import Hook
from torch import Tensor, nn
from torch.nn import functional

from mmdet3d_plugin.datasets.sample import Sample
from mmdet3d_plugin.errors import DataError
from mmdet3d_plugin.registry import DATASETS, HOOKS, MODELS
from mmdet3d_plugin.structures import (
    Frame,
    LabelSpace,
    Memory,
    OccLabels,
    OccOutput,
    OccPrediction,
    OccTargets,
    TemporalState,
    VoxelGrid,
)

SPACE = LabelSpace("Toy", ("road", "car", "free"), ((90, 90, 90), (0, 0, 255), (255, 255, 255)), free=2, dynamic=(1,))
GRID = VoxelGrid((0.0, 0.0, 0.0), (4.0, 4.0, 2.0), (4, 4, 2))
LENGTHS = (5, 3, 4, 6)


@DATASETS.register_module()
class ToyDataset:
    """Scenes of different lengths; the label of every voxel can be read from the image.

    Args:
        lengths: key frames of each scene.
        seed: of the labels.
        broken: number of a sample that cannot be loaded, -1 = none.
        crash: broken by a defect instead of bad data.
    """

    label_space, grid, synthetic = SPACE, GRID, True

    def __init__(self, lengths: tuple[int, ...] = LENGTHS, seed: int = 0, broken: int = -1, crash: bool = False):
        ends = np.cumsum(lengths)
        self.sequences = tuple(np.arange(end - n, end) for n, end in zip(lengths, ends))
        self.scene = np.repeat(np.arange(len(lengths)), lengths)
        self.tokens = np.array([f"token{i:03d}" for i in range(ends[-1])])
        self.scene_names = np.array([f"scene-{s:04d}" for s in self.scene])
        self.seed, self.broken, self.crash = seed, broken, crash

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, request: int | tuple[int, int]) -> Sample:
        index, draw = request if isinstance(request, tuple) else (request, 0)
        if index == self.broken:
            if self.crash:
                raise ZeroDivisionError("defect")
            raise DataError(f"image of sample {self.tokens[index]} is truncated", fix="download it again")
        labels = np.random.default_rng((self.seed, index)).integers(0, 3, (2, 4, 4))
        noise = np.random.default_rng((self.seed, index, draw)).integers(0, 40, (1, 3, 8, 4))
        images = noise.astype(np.uint8)
        images[0, 0] += (labels * 70).reshape(8, 4).astype(np.uint8)
        eye = np.eye(4, dtype=np.float32)
        return Sample(
            images=images,
            ego_from_cam=eye[None],
            pixel_from_cam=np.eye(3, dtype=np.float32)[None],
            crop_from_pixel=np.eye(3, dtype=np.float32)[None],
            grid_from_ego=eye,
            sequence_id=int(self.scene[index]),
            starts_sequence=bool(index == 0 or self.scene[index] != self.scene[index - 1]),
            prev_from_ego=eye,
            time=0.5 * index,
            token=str(self.tokens[index]),
            frame="ego_lidar_time",
            occupancy=labels.astype(np.uint8),
            mask_camera=np.ones((2, 4, 4), dtype=bool),
            depth=np.full((1, 8, 4), 3.0, dtype=np.float32),
            ray_origins=np.array([[2.0, 2.0, 1.0]]),
        )


@dataclass
class ToyMemory(Memory):
    """features: [B, 8, Z, Y, X] of the frame before."""

    features: Tensor


class ToyHead(nn.Module):
    """Decodes logits."""

    def decode(self, prediction: OccPrediction) -> OccLabels:
        return OccLabels(prediction.logits.argmax(dim=1).to(torch.uint8))


@MODELS.register_module()
class ToyPreprocessor(nn.Module):
    """Bytes to -1..1."""

    def forward(self, frame: Frame) -> Frame:
        return Frame(frame.images.float() / 127.5 - 1.0, frame.rig, frame.meta)


@MODELS.register_module()
class ToyNetwork(nn.Module):
    """Classifies every voxel from its pixel and from what it remembers of the frame before."""

    def __init__(self, width: int = 8, dropout: float = 0.1):
        super().__init__()
        self.encode = nn.Sequential(nn.Conv3d(3, width, 1), nn.BatchNorm3d(width), nn.ReLU())
        self.mix = nn.Conv3d(width, width, 1)
        self.tied = self.mix
        self.dropout = nn.Dropout(dropout)
        self.classify = nn.Conv3d(width, 3, 1)
        self.head = ToyHead()

    def forward(self, frame: Frame, state: TemporalState, guidance: object = None) -> tuple[OccOutput, TemporalState]:
        state = state.enter(frame.meta)
        features = self.encode(frame.images[:, 0].reshape(frame.batch_size, 3, 2, 4, 4))
        memory = state.get("temporal")
        age = torch.zeros(frame.batch_size, dtype=torch.int64, device=features.device) if memory is None else memory.age
        past = features.detach() if memory is None else memory.features
        past = torch.where((age > 0).view(-1, 1, 1, 1, 1), past, features.detach())
        features = features + self.mix(self.dropout(past))
        if guidance is not None and guidance.depth is not None:
            features = features * (1.0 + 0.01 * guidance.depth.rate * guidance.depth.depth.mean())
        state = state.with_memory("temporal", ToyMemory(age + 1, features))
        return OccOutput(OccPrediction(self.classify(features))), state


@MODELS.register_module()
class ToyLoss(nn.Module):
    """Cross-entropy."""

    def forward(self, output: OccOutput, targets: OccTargets) -> dict[str, Tensor]:
        return {"loss_voxel": functional.cross_entropy(output.prediction.logits, targets.occupancy.long())}


@HOOKS.register_module()
class Strike(Hook):
    """Ends the process from within: killed or interrupted, between steps or in the middle of saving.

    Args:
        step: optimiser steps done when it strikes.
        when: "step" or "save" (SIGKILL), "interrupt" or "interrupt save" (SIGINT).
    """

    priority = "LOWEST"

    def __init__(self, step: int, when: str = "step"):
        self.step, self.when = step, when

    def before_train_iter(self, runner: object, batch_idx: int, data_batch: object = None) -> None:
        if batch_idx == self.step and self.when == "step":
            os.kill(os.getpid(), signal.SIGKILL)
        if batch_idx == self.step and self.when == "interrupt":
            os.kill(os.getpid(), signal.SIGINT)

    def before_save_checkpoint(self, runner: object, checkpoint: dict) -> None:
        if runner.train_loop.steps_done == self.step and self.when == "save":
            checkpoint["strike"] = _KillsWhenPickled(signal.SIGKILL)
        if runner.train_loop.steps_done == self.step and self.when == "interrupt save":
            checkpoint["strike"] = _KillsWhenPickled(signal.SIGINT)


class _KillsWhenPickled:
    def __init__(self, number: int):
        self.number = number

    def __reduce__(self) -> tuple:
        os.kill(os.getpid(), self.number)
        return (int, ())


@HOOKS.register_module()
class RecordTokens(Hook):
    """Writes the tokens of every batch of this process, and its loss, to `WORK_DIR/tokens_<rank>.txt`."""

    def before_train_iter(self, runner: object, batch_idx: int, data_batch: object = None) -> None:
        with open(f"{runner.work_dir}/tokens_{runner.rank}.txt", "a") as file:
            file.write(" ".join(data_batch.frames[0].meta.token) + "\n")


CONFIG = """
custom_imports = dict(imports=["engine_toy"])
seed = 3
load_from = None
find_unused_parameters = False
profile = dict(name="corrected", arguments=dict())
evaluation = dict(metrics=("miou",), mode="corrected")
model = dict(
    type="OccupancyModel",
    preprocessor=dict(type="ToyPreprocessor"),
    network=dict(type="ToyNetwork", width=8),
    losses=[dict(type="ToyLoss")],
)
train_cfg = dict(samples=48, global_batch=4, val_every=0, checkpoint_every=12)
train_dataloader = dict(num_workers=0, dataset=dict(type="ToyDataset"))
val_dataloader = dict(num_workers=0, dataset=dict(type="ToyDataset", seed=1))
test_dataloader = val_dataloader
optim_wrapper = dict(
    optimizer=dict(type="AdamW", lr=1e-2, weight_decay=1e-2), clip_grad=dict(max_norm=5.0, norm_type=2.0)
)
hooks = dict(
    warm_up=dict(type="LinearWarmUp", samples=16, start_factor=0.1),
    history=dict(type="HistorySchedule", start=8),
    denoising=dict(type="DenoisingSchedule", end=24),
    ema=dict(type="RampedEma", decay=0.9, ramp=5, init_updates=0),
    log=dict(type="TrainingLog", every=1),
)
"""
