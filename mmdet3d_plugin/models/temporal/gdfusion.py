"""Temporal fusion with a memory of voxels, of motion and of the scene (GDFusion; spec/04 sections 4.3 to 4.5).

The fourth memory of the method, of geometry, belongs to the depth network (`GeometryFusion`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ...errors import ConfigError, StreamError
from ...geometry.warp import sample_volume, warp_index_matrix, warp_locations
from ...registry import MODELS
from ...structures import Frame, Memory, Volume, VoxelGrid
from ...structures.grid import Anchor
from ..layers.checkpointing import run_checkpointed
from .motion_memory import MotionMemory
from .scene_memory import SceneMemory
from .voxel_memory import VoxelMemory


@dataclass
class GDFusionMemory(Memory):
    """What the parts remember; None for a part that is switched off.

    Attributes:
        grid_from_ego: [B, 4, 4] scene augmentation of the latest frame.
        voxel, motion, scene: memories of the parts.
    """

    grid_from_ego: Tensor
    voxel: VoxelMemory | None = None
    motion: MotionMemory | None = None
    scene: SceneMemory | None = None


@MODELS.register_module()
class GDFusion(nn.Module):
    """Moves the remembered volume to where its content is now, fuses it with the current one, adapts to the scene.

    Args:
        channels: channels of the volume, kept.
        grid: the grid of the volume; a bird's-eye view where it has one slab.
        voxel: config of the recurrent fusion; None = no volume is remembered.
        motion: config of the offsets of moving things; None = the past is moved by the ego motion alone.
        scene: config of the adaptation to the scene; None = no adaptation.
        anchor: where in its voxel an index sits when the past is warped; published: "corner" (spec/99 A7).
        activation_checkpointing: recompute the activations of `voxel` and `scene` in the backward pass.

    Raises:
        ConfigError: `motion` without `voxel`, which it moves, or no part at all.
    """

    def __init__(
        self,
        channels: int,
        grid: VoxelGrid | dict,
        voxel: dict | None = None,
        motion: dict | None = None,
        scene: dict | None = None,
        anchor: Anchor = "center",
        activation_checkpointing: bool = False,
    ) -> None:
        super().__init__()
        if voxel is None and motion is not None:
            raise ConfigError(
                "GDFusion has a motion memory but no voxel memory, which motion is there to move",
                found="motion=..., voxel=None",
                fix="give `voxel=dict(type='RecurrentFusion')`, or set `motion=None`",
            )
        if voxel is None and scene is None:
            raise ConfigError(
                "GDFusion has no memory at all",
                expected="at least one of voxel and scene",
                fix="use `dict(type='NoFusion')` for a single-frame method",
            )
        self.grid = VoxelGrid.from_config(grid)
        self.anchor: Anchor = anchor
        self.activation_checkpointing = activation_checkpointing
        shape = {"channels": channels, "is_bev": self.grid.is_bev}
        self.voxel = MODELS.build(dict(voxel, **shape)) if voxel is not None else None
        self.motion = MODELS.build(dict(motion, **shape)) if motion is not None else None
        self.scene = MODELS.build(dict(scene, channels=channels)) if scene is not None else None

    def forward(self, volume: Volume, frame: Frame, memory: GDFusionMemory | None) -> tuple[Volume, GDFusionMemory]:
        """Fuse features [B, C, Z, Y, X] with the past.

        Args:
            volume: of the current frame, over the grid of this stage.
            frame: its motion and scene augmentation.
            memory: of the previous frame; lanes of age 0 start from the current frame.

        Returns:
            the fused volume, and the memory of this frame without gradient.

        Raises:
            ConfigError: the volume lies over another grid.
            StreamError: the memory is of another one, or lacks a part.
        """
        volume.grid.require_match(self.grid, "the lifted volume", "GDFusion")
        if memory is None:
            memory = GDFusionMemory(torch.zeros_like(frame.meta.sequence_id), frame.rig.grid_from_ego)
        else:
            self._check(memory, volume.features)
        features = volume.features
        remembered = GDFusionMemory(memory.age + 1, frame.rig.grid_from_ego)
        if self.voxel is not None:
            matrix = self._previous_from_current(frame, memory)
            locations = warp_locations(matrix, self.grid.zyx)
            if self.motion is not None:
                locations, remembered.motion = self.motion(features, locations, matrix, memory.motion)
            past = sample_volume(self._past(features.detach(), memory), locations)
            features, remembered.voxel = self._run(self.voxel, features, past, memory.age)
        if self.scene is not None:
            features, remembered.scene = self._run(self.scene, features, memory.scene)
        return Volume(features, volume.grid), remembered.detach()

    def _check(self, memory: GDFusionMemory, features: Tensor) -> None:
        """Refuse a memory that another network, or this one over another grid, has left."""
        lanes, channels, *zyx = features.shape
        axes = 2 if self.grid.is_bev else 3
        for name, field, shape in (
            ("voxel", "features", features.shape),
            ("motion", "offsets", (lanes, axes, *zyx)),
            ("scene", "weight", (lanes, channels, channels)),
        ):
            if getattr(self, name) is None:
                continue
            part = getattr(memory, name)
            if part is None:
                raise StreamError(
                    f"the memory of GDFusion has no part `{name}`, which this network has",
                    fix="start with an empty state (reset_stream()), or use the config that the state is of",
                )
            part.require_shape(field, shape, f"GDFusion.{name}")

    def _run(self, module: nn.Module, *inputs: Any) -> tuple[Tensor, Any]:
        if self.activation_checkpointing:
            return run_checkpointed(module, module, *inputs)
        return module(*inputs)

    def _previous_from_current(self, frame: Frame, memory: GDFusionMemory) -> Tensor:
        """Index in the previous volume from index in the current one, [B, 4, 4]; identity for new lanes."""
        current = frame.rig.grid_from_ego
        fresh = (memory.age == 0)[:, None, None]
        previous = torch.where(fresh, current, memory.grid_from_ego)
        motion = torch.where(fresh, torch.eye(4).to(current), frame.meta.prev_from_ego)
        return warp_index_matrix(self.grid, previous, motion, current, self.anchor)

    def _past(self, current: Tensor, memory: GDFusionMemory) -> Tensor:
        """Features to sample the past from [B, C, Z, Y, X]: the present where there is no past."""
        if memory.voxel is None:
            return current
        fresh = (memory.age == 0).view(-1, 1, 1, 1, 1)
        return torch.where(fresh, current, memory.voxel.features.to(current.dtype))
