"""The trainable model: preprocess, network, losses or labels. It alone keeps a stream between calls."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

import torch
from mmengine.model import BaseDataPreprocessor, BaseModel
from torch import Tensor, nn

from ..errors import ConfigError
from ..registry import MODELS
from ..structures import CameraRig, Frame, OccBatch, OccLabels, OccOutput, OccTargets, StreamOrder, TemporalState
from .protocols import DepthGuidance, FlowGuidance, Guidance

Mode = Literal["loss", "predict", "tensor"]


class ToDevice(BaseDataPreprocessor):
    """Moves a batch to the device of the model; the engine calls it before every forward.

    Frames that follow each other under one calibration receive the same rig object, which spares stages its comparison
    (:class:`mmdet3d_plugin.geometry.PerRig`).

    Attributes:
        orders: where it checks that frames follow each other, by stream.
    """

    def __init__(self) -> None:
        super().__init__()
        self.orders = {"training": StreamOrder(), "evaluation": StreamOrder()}
        self._rig: tuple[CameraRig, CameraRig] | None = None  # of the latest frame, as it came and on the device

    def forward(self, data: OccBatch, training: bool = False) -> dict[str, OccBatch]:
        """The arguments of `OccupancyModel.forward` on the device of the model.

        Raises:
            StreamError: see :class:`StreamOrder`.
        """
        if len(data.frames) != 1:  # windows of frames overlap
            return {"batch": data.to(self.device, non_blocking=True)}
        self.orders["training" if training else "evaluation"].admit(data.frames[0])
        moved = data.to(self.device, non_blocking=True)
        (frame,) = moved.frames
        rig = self._known(data.frames[0].rig, frame.rig)
        return {"batch": dataclasses.replace(moved, frames=(dataclasses.replace(frame, rig=rig),))}

    def _known(self, rig: CameraRig, moved: CameraRig) -> CameraRig:
        """The rig of the frame before if it equals this one, which must not come from a GPU to be compared."""
        device = moved.ego_from_cam.device
        if rig.ego_from_cam.device.type != "cpu":
            return moved
        if self._rig is None or self._rig[1].ego_from_cam.device != device or not rig.equals(self._rig[0]):
            kept = rig.clone()  # a caller may write the next calibration into the same memory
            self._rig = (kept, kept.to(device, non_blocking=True))
        return self._rig[1]


@dataclass
class ScheduledValues:
    """Quantities that hooks change while training.

    Attributes:
        use_history: False empties the memory of the temporal stage after every frame (spec 8.3).
        denoise_rate: share of lidar depth mixed into the lifted depth in training, 0..1 (spec 02, geometry
            denoising).
        flow_denoise_rate: share of the ground truth in the matching of a flow head in training, 0..1 (spec 06
            section 6.2).
    """

    use_history: bool = True
    denoise_rate: float = 0.0
    flow_denoise_rate: float = 0.0


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
        self.data_preprocessor.orders[self._stream_name].forget()

    def stream_state_dict(self) -> dict[str, Any]:
        """State of the training stream for a checkpoint, plain dicts of tensors on the CPU."""
        return self._streams["training"].to("cpu").state_dict()

    def load_stream_state_dict(self, state: dict[str, Any], device: torch.device | str) -> None:
        """Continue the training stream of a checkpoint on `device`."""
        self.data_preprocessor.orders["training"].forget()
        self._streams["training"] = TemporalState.from_state_dict(state).to(device)

    def forward(self, batch: OccBatch, mode: Mode = "tensor") -> dict[str, Tensor] | OccLabels | OccOutput:
        """Advance the stream by one frame of B lanes.

        Args:
            batch: one frame (images [B, N, 3, H, W]) and, for mode "loss", its targets.
            mode: "loss" returns named scalars, "predict" decoded labels, "tensor" the raw output.

        Raises:
            ConfigError: the batch holds several frames, targets are missing, or two losses share a name.
            StreamError: the frame does not follow the one before, see :class:`StreamOrder`.
        """
        if len(batch.frames) != 1:
            raise ConfigError(
                f"{type(self).__name__} streams one frame at a time",
                found=f"{len(batch.frames)} frames in a sample",
                fix="set the data set to one frame per sample; history comes from the stream",
            )
        self.data_preprocessor.orders[self._stream_name].check(batch.frames[0])
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

    def _advance(self, frame: Frame, guidance: Guidance | None) -> OccOutput:
        output, state = self.network(frame, self.stream, guidance)
        if not self.schedule.use_history:
            state = state.with_memory("temporal", None)
        self._streams[self._stream_name] = state
        return output

    def _guidance(self, targets: OccTargets | None) -> Guidance:
        """Ground truth to mix into the stages: all of it at rate 1, none (and no work) at rate 0."""
        guidance = Guidance()
        if self.schedule.denoise_rate > 0.0:
            depth = self._target(targets, "depth", "geometry denoising needs depth maps")
            guidance.depth = DepthGuidance(depth, depth.new_tensor(self.schedule.denoise_rate))
        if self.schedule.flow_denoise_rate > 0.0:
            occupancy = self._target(targets, "occupancy", "flow denoising needs occupancy labels")
            rate = torch.full((), self.schedule.flow_denoise_rate, device=occupancy.device)
            guidance.flow = FlowGuidance(occupancy, rate)
        return guidance

    @staticmethod
    def _target(targets: OccTargets | None, name: str, problem: str) -> Tensor:
        value: Tensor | None = getattr(targets, name, None)
        if value is None:
            raise ConfigError(problem, found=f"no {name} in the targets", fix="load it in the training data set")
        return value

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
