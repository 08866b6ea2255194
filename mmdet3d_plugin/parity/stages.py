"""Where the tensors that golden files name come from in our network."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from ..errors import EvaluationError
from ..structures import Volume


@dataclass(frozen=True)
class Stage:
    """A tensor that flows through the network.

    Attributes:
        modules: paths in the network; the first that a network has is the one that computes the tensor.
        read: its positional inputs and its output to the tensor, in published axes.
    """

    modules: tuple[str, ...]
    read: Callable[[tuple[Any, ...], Any], Tensor]

    def module(self, network: nn.Module, name: str) -> nn.Module:
        """The module of a network.

        Raises:
            EvaluationError: it has none of them.
        """
        children = dict(network.named_modules())
        for path in self.modules:
            if path in children:
                return children[path]
        raise EvaluationError(
            f"the network has no stage {name}",
            found=f"no module {' or '.join(self.modules)}",
            fix="the golden figures belong to another variant of the method, or the config lacks this part",
        )


_DEPTH_NET = "view_transformer.depth_net"
_SHIFT_SCALE, _SHIFT_BOUND = 4.0, 8.0  # pixels, spec/02: how published inter-object shifts are scaled and bounded

STAGES = {
    "img_neck_out": Stage(("image_encoder.neck",), lambda inputs, output: output),
    "stereo_cost_volume": Stage((f"{_DEPTH_NET}.cost_volume",), lambda inputs, output: output),
    "depthnet_depth_pred": Stage((_DEPTH_NET,), lambda inputs, output: output[0].depth),
    "depthnet_geometry": Stage((_DEPTH_NET,), lambda inputs, output: output[0].geometry),
    "depthnet_context": Stage((_DEPTH_NET,), lambda inputs, output: output[0].context),
    "depthnet_depth2occ_inter_weight": Stage(
        (f"{_DEPTH_NET}.inter.weight",), lambda inputs, output: output.sigmoid().unflatten(1, (3, 3, 3))
    ),
    "depthnet_depth2occ_inter_bias": Stage(
        (f"{_DEPTH_NET}.inter.shift",),
        lambda inputs, output: (_SHIFT_SCALE * output).clamp(-_SHIFT_BOUND, _SHIFT_BOUND).unflatten(1, (3, 3, 2)),
    ),
    "view_transformer_out": Stage(("view_transformer",), lambda inputs, output: yxz(output[0].volume.features)),
    "pre_process_out": Stage(("volume_stem",), lambda inputs, output: yxz(output.features)),
    "motion_his_grid": Stage(("temporal.motion",), lambda inputs, output: _sampling_grid(output[0])),
    # In our axes, as published.
    "motion_his_sampled_history": Stage(("temporal.voxel",), lambda inputs, output: inputs[1]),
    # GDFusion goes on with the scene, of which published models know nothing here.
    "history_fusion_out": Stage(("temporal.voxel", "temporal"), lambda inputs, output: yxz(_features(output[0]))),
    "scene_his_before_out": Stage(("temporal.scene",), lambda inputs, output: yxz(inputs[0]).flatten(2)),
    "scene_his_after_out": Stage(("temporal.scene",), lambda inputs, output: yxz(output[0]).flatten(2)),
    "bev_encoder_in": Stage(("volume_encoder",), lambda inputs, output: yxz(inputs[0].features)),
    "bev_encoder_out": Stage(("volume_encoder.neck",), lambda inputs, output: yxz(output)),
    "head_in": Stage(("head",), lambda inputs, output: yxz(inputs[0].features)),
    # Published (v_y, v_x), channels last.
    "flow_native": Stage(("head",), lambda inputs, output: output[0].flow.flip(1).permute(0, 3, 4, 2, 1)),
}


def yxz(volume: Tensor) -> Tensor:
    """Our [B, C, Z, Y, X] as published [B, C, Y, X, Z]; a map [B, C, Y, X] stays what it is."""
    return volume.permute(0, 1, 3, 4, 2) if volume.dim() == 5 else volume


def _features(volume: Tensor | Volume) -> Tensor:
    return volume.features if isinstance(volume, Volume) else volume


def _sampling_grid(locations: Tensor) -> Tensor:
    """Locations [B, Z, Y, X, 3] in index units as published: [B, Y, X, Z, m] in -1 .. 1, without z in a map."""
    sizes = locations.shape[3:0:-1]
    grid = locations * locations.new_tensor([2 / max(size - 1, 1) for size in sizes]) - 1
    return grid.permute(0, 2, 3, 1, 4)[..., : 2 if sizes[2] == 1 else 3]


@contextmanager
def captured(
    network: nn.Module, names: Collection[str], keep: Callable[[str, Tensor], Any] = lambda name, tensor: tensor
) -> Iterator[dict[str, Any]]:
    """Collect stage tensors of forward passes inside the block, by golden name.

    Args:
        network: an `OccupancyNetwork`.
        names: golden names of tensors.
        keep: name and detached tensor, in published axes, to what is collected; whole volumes of a large grid do
            not fit into memory all at once.

    Raises:
        EvaluationError: a name is unknown, or the network does not compute the tensor.
    """
    kept: dict[str, Any] = {}
    handles = []
    if unknown := sorted(set(names) - STAGES.keys()):
        raise EvaluationError("the golden figures name stages that are not known here", found=", ".join(unknown))
    for name in names:
        stage = STAGES[name]

        def hook(
            module: nn.Module, inputs: tuple[Any, ...], output: Any, name: str = name, stage: Stage = stage
        ) -> None:
            kept[name] = keep(name, stage.read(inputs, output).detach())

        handles.append(stage.module(network, name).register_forward_hook(hook))
    try:
        yield kept
    finally:
        for handle in handles:
            handle.remove()
