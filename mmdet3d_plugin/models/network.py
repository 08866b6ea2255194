"""The pure network: (frame, state) -> (output, state). It is what is exported, profiled and compared."""

from __future__ import annotations

from torch import nn

from ..registry import MODELS
from ..structures import Frame, OccOutput, TemporalState, VoxelGrid
from .protocols import Guidance


@MODELS.register_module()
class OccupancyNetwork(nn.Module):
    """Five stages in a row; every argument is the config of one stage.

    Args:
        image_encoder: images to feature levels.
        view_transformer: feature levels to a volume.
        temporal: fuses the volume with the past (`dict(type='NoFusion')` for single-frame methods).
        volume_encoder: refines the fused volume.
        head: classifies the volume.
        volume_stem: refines the lifted volume before fusion; None where the method has none.
    """

    def __init__(
        self,
        image_encoder: dict,
        view_transformer: dict,
        temporal: dict,
        volume_encoder: dict,
        head: dict,
        volume_stem: dict | None = None,
    ):
        super().__init__()
        self.image_encoder = MODELS.build(image_encoder)
        self.view_transformer = MODELS.build(view_transformer)
        self.volume_stem = MODELS.build(volume_stem) if volume_stem else nn.Identity()
        self.temporal = MODELS.build(temporal)
        self.volume_encoder = MODELS.build(volume_encoder)
        self.head = MODELS.build(head)

    def output_grid(self) -> VoxelGrid:
        """Grid of the predictions: that of the labels that the network is made for."""
        grid: VoxelGrid = self.volume_encoder.output_grid(self.view_transformer.grid)
        return grid

    def forward(
        self, frame: Frame, state: TemporalState, guidance: Guidance | None = None
    ) -> tuple[OccOutput, TemporalState]:
        """Run one frame of B parallel streams.

        Args:
            frame: normalised float images, calibration and motion of the current key frame.
            state: what the stages remember; `TemporalState()` at the start of a stream.
            guidance: ground truth for the view transformer and the head, training only.

        Returns:
            the output for this frame, and the state to pass with the next one (detached).
        """
        guidance = guidance or Guidance()
        state = state.enter(frame.meta)
        features = self.image_encoder(frame)
        lifted, memory = self.view_transformer(features, frame, state.get("view_transformer"), guidance.depth)
        state = state.with_memory("view_transformer", memory)
        volume = self.volume_stem(lifted.volume)
        volume, memory = self.temporal(volume, frame, state.get("temporal"))
        state = state.with_memory("temporal", memory)
        prediction, memory = self.head(self.volume_encoder(volume), frame, state.get("head"), guidance.flow)
        state = state.with_memory("head", memory)
        return OccOutput(prediction, lifted.aux), state
