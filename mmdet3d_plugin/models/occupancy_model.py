"""The trainable model: preprocess, network, losses or labels. It alone keeps a stream between calls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from mmengine.model import BaseDataPreprocessor, BaseModel
from torch import Tensor, nn

from ..errors import ConfigError
from ..registry import MODELS
from ..structures import Frame, OccBatch, OccLabels, OccOutput, OccTargets, TemporalState
from .protocols import DepthGuidance

Mode = Literal["loss", "predict", "tensor"]


class ToDevice(BaseDataPreprocessor):
    """Moves a batch to the device of the model; the engine calls it before every forward."""

    def forward(self, data: OccBatch, training: bool = False) -> dict[str, OccBatch]:
        """The arguments of `OccupancyModel.forward` on the device of the model."""
        return {"batch": data.to(self.device, non_blocking=True)}


@dataclass
class ScheduledValues:
    """Quantities that hooks change while training.

    Attributes:
        use_history: False empties the memory of the temporal stage after every frame (spec 8.3).
        denoise_rate: share of lidar depth mixed into the lifted depth in training, 0..1 (spec 02, geometry
            denoising).
    """

    use_history: bool = True
    denoise_rate: float = 0.0


@MODELS.register_module()
class OccupancyModel(BaseModel):
    """A streaming occupancy network with its losses.

    Two streams live side by side, one for training and one for evaluation, chosen by `self.training`: a
    validation in the middle of training neither sees nor disturbs what training remembers.

    Args:
        preprocessor: normalises a frame, uint8 or float RGB in, float32 out.
        network: config of the network, `(frame, state, guidance) -> (output, state)`.
        losses: configs of the loss terms; their names must differ.
    """

    def __init__(self, preprocessor: dict, network: dict, losses: list[dict]):
        super().__init__(data_preprocessor=ToDevice())
        self.preprocessor = MODELS.build(preprocessor)
        self.network = MODELS.build(network)
        self.losses = nn.ModuleList(MODELS.build(loss) for loss in losses)
        self.schedule = ScheduledValues()
        self._streams = {"training": TemporalState(), "evaluation": TemporalState()}

    @property
    def _stream_name(self) -> str:
        return "training" if self.training else "evaluation"

    @property
    def stream(self) -> TemporalState:
        """What the current stream (training or evaluation, see :meth:`train`) remembers."""
        return self._streams[self._stream_name]

    def reset_stream(self) -> None:
        """Forget the current stream; the next frame starts a sequence whatever its meta data say."""
        self._streams[self._stream_name] = TemporalState()

    def stream_state_dict(self) -> dict[str, Any]:
        """State of the training stream for a checkpoint, plain dicts of tensors on the CPU."""
        return self._streams["training"].to("cpu").state_dict()

    def load_stream_state_dict(self, state: dict[str, Any], device: torch.device | str) -> None:
        """Continue the training stream of a checkpoint on `device`."""
        self._streams["training"] = TemporalState.from_state_dict(state).to(device)

    def forward(self, batch: OccBatch, mode: Mode = "tensor") -> dict[str, Tensor] | OccLabels | OccOutput:
        """Advance the stream by one frame of B lanes.

        Args:
            batch: one frame (images [B, N, 3, H, W]) and, for mode "loss", its targets.
            mode: "loss" returns named scalars, "predict" decoded labels, "tensor" the raw output.

        Raises:
            ConfigError: the batch holds several frames, targets are missing, or two losses share a name.
        """
        if len(batch.frames) != 1:
            raise ConfigError(
                f"{type(self).__name__} streams one frame at a time",
                found=f"{len(batch.frames)} frames in a sample",
                fix="set the data set to one frame per sample; history comes from the stream",
            )
        frame = self.preprocessor(batch.frames[0])
        guidance = self._guidance(batch.targets) if self.training else None
        output = self._advance(frame, guidance)
        if mode == "tensor":
            return output
        if mode == "predict":
            return self.network.head.decode(output.prediction)
        if batch.targets is None:
            raise ConfigError("losses need targets", fix="give the training data set a label source")
        return self._losses(output, batch.targets)

    def _advance(self, frame: Frame, guidance: DepthGuidance | None) -> OccOutput:
        output, state = self.network(frame, self.stream, guidance)
        if not self.schedule.use_history:
            state = state.with_memory("temporal", None)
        self._streams[self._stream_name] = state
        return output

    def _guidance(self, targets: OccTargets | None) -> DepthGuidance | None:
        """Lidar depth to mix into the lifting: all of it at rate 1, none (and no work) at rate 0."""
        rate = self.schedule.denoise_rate
        if rate <= 0.0:
            return None
        if targets is None or targets.depth is None:
            raise ConfigError("geometry denoising needs depth maps", fix="load depth targets in the training data set")
        return DepthGuidance(depth=targets.depth, rate=targets.depth.new_tensor(rate))

    def _losses(self, output: OccOutput, targets: OccTargets) -> dict[str, Tensor]:
        """All terms, computed in float32 also under autocast."""
        device = output.prediction.logits.device.type
        losses: dict[str, Tensor] = {}
        with torch.autocast(device, enabled=False):
            output = output.to(torch.float32)
            for term in self.losses:
                for name, value in term(output, targets).items():
                    if name in losses:
                        raise ConfigError(f"two losses are named {name!r}", fix="remove one of them from model.losses")
                    losses[name] = value
        return losses
