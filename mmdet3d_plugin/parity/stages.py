"""Where the tensors that golden files name come from in our network."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn


@dataclass(frozen=True)
class Stage:
    """A tensor that flows through the network.

    Attributes:
        module: path of a module of the network.
        read: its positional inputs and its output to the tensor.
    """

    module: str
    read: Callable[[tuple[Any, ...], Any], Tensor]


_DEPTH_NET = "view_transformer.depth_net"

STAGES = {
    "img_neck_out": Stage("image_encoder.neck", lambda inputs, output: output),
    "stereo_cost_volume": Stage(f"{_DEPTH_NET}.cost_volume", lambda inputs, output: output),
    "depthnet_depth_pred": Stage(_DEPTH_NET, lambda inputs, output: output.depth),
    "depthnet_geometry": Stage(_DEPTH_NET, lambda inputs, output: output.geometry),
    "depthnet_context": Stage(_DEPTH_NET, lambda inputs, output: output.context),
    "view_transformer_out": Stage("view_transformer", lambda inputs, output: yxz(output[0].volume.features)),
    "pre_process_out": Stage("volume_stem", lambda inputs, output: yxz(output.features)),
    "history_fusion_out": Stage("temporal", lambda inputs, output: yxz(output[0].features)),
    "bev_encoder_in": Stage("volume_encoder", lambda inputs, output: yxz(inputs[0].features)),
    "bev_encoder_out": Stage("volume_encoder.neck", lambda inputs, output: yxz(output)),
    "head_in": Stage("head", lambda inputs, output: yxz(inputs[0].features)),
}


def yxz(volume: Tensor) -> Tensor:
    """Our [B, C, Z, Y, X] as published [B, C, Y, X, Z]; a map [B, C, Y, X] stays what it is."""
    return volume.permute(0, 1, 3, 4, 2) if volume.dim() == 5 else volume


@contextmanager
def captured(network: nn.Module, names: Collection[str]) -> Iterator[dict[str, Tensor]]:
    """Collect stage tensors of forward passes inside the block, in published axes, by golden name."""
    tensors: dict[str, Tensor] = {}
    handles = []
    for name in names:
        stage = STAGES[name]

        def hook(
            module: nn.Module, inputs: tuple[Any, ...], output: Any, name: str = name, stage: Stage = stage
        ) -> None:
            tensors[name] = stage.read(inputs, output).detach()

        handles.append(network.get_submodule(stage.module).register_forward_hook(hook))
    try:
        yield tensors
    finally:
        for handle in handles:
            handle.remove()
