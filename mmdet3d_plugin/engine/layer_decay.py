"""Learning rates that fall towards the first layers of a pretrained backbone (Clark et al. 2020; spec/08, 8.4)."""

from __future__ import annotations

from typing import Any, Protocol, cast

from mmengine.optim import OptimWrapper
from torch import nn

from ..errors import ConfigError
from ..registry import OPTIM_WRAPPER_CONSTRUCTORS, OPTIM_WRAPPERS, OPTIMIZERS
from .distributed import unwrapped

_BACKBONE = "network.image_encoder.backbone"


class _Layered(Protocol):
    """A backbone that numbers its layers."""

    num_layers: int

    def layer_number(self, name: str) -> int | None: ...


@OPTIM_WRAPPER_CONSTRUCTORS.register_module(name="LayerDecay")
class LayerDecayConstructor:
    """Builds an optimiser with one pair of parameter groups per layer of the image backbone.

    A backbone of n layers says with `layer_number(name)` where a parameter works: 0 before the first layer, i for
    layer i = 1 ... n, None after the last. Layer i learns with lr * decay^(n + 1 - i), everything that is not in a
    layer of the backbone with lr. Weights decay but for biases and tensors of one dimension.

    Args:
        optim_wrapper_cfg: config of the optimiser wrapper, its `optimizer` among it.
        paramwise_cfg: `dict(decay=...)`, a factor in (0, 1].
    """

    def __init__(self, optim_wrapper_cfg: dict[str, Any], paramwise_cfg: dict[str, Any] | None = None) -> None:
        paramwise_cfg = paramwise_cfg or {}
        if set(paramwise_cfg) != {"decay"} or not 0 < paramwise_cfg["decay"] <= 1:
            raise ConfigError(
                "optim_wrapper.paramwise_cfg of LayerDecay",
                found=paramwise_cfg,
                expected="dict(decay=...) with a factor in (0, 1]",
            )
        self.optim_wrapper_cfg = dict(optim_wrapper_cfg)
        self.decay: float = paramwise_cfg["decay"]

    def __call__(self, model: nn.Module) -> OptimWrapper:
        """Build the optimiser wrapper of a model.

        Raises:
            ConfigError: the image backbone does not number its layers.
        """
        wrapper = dict(self.optim_wrapper_cfg)
        optimizer = dict(wrapper.pop("optimizer"))
        groups = parameter_groups(unwrapped(model), self.decay, optimizer["lr"], optimizer.get("weight_decay", 0.0))
        built = OPTIMIZERS.build(dict(optimizer, params=groups))
        return OPTIM_WRAPPERS.build({"type": "OptimWrapper", **wrapper, "optimizer": built})


def parameter_groups(model: nn.Module, decay: float, lr: float, weight_decay: float) -> list[dict[str, Any]]:
    """Groups of the trained parameters of a model, those with the whole learning rate first.

    Args:
        model: holds a backbone with `num_layers` and `layer_number` as `network.image_encoder.backbone`.
        decay: factor from a layer to the one before.
        lr: learning rate after the last layer and outside of the backbone.
        weight_decay: of everything but biases and tensors of one dimension.

    Returns:
        dicts with `params`, `lr`, `weight_decay` and the `layer`, n + 1 for the whole learning rate.

    Raises:
        ConfigError: the image backbone does not number its layers.
    """
    backbone = model.get_submodule(_BACKBONE)
    if not hasattr(backbone, "layer_number"):
        raise ConfigError(
            "LayerDecay needs an image backbone that numbers its layers",
            found=type(backbone).__name__,
            expected="SwinTransformer",
            fix="remove `constructor` and `paramwise_cfg` from optim_wrapper",
        )
    layered = cast("_Layered", backbone)
    last = layered.num_layers + 1
    members: dict[tuple[int, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        inside = name.startswith(f"{_BACKBONE}.")
        number = layered.layer_number(name.removeprefix(f"{_BACKBONE}.")) if inside else None
        decays = parameter.dim() > 1 and not name.endswith(".bias")
        members.setdefault((last if number is None else number, decays), []).append(parameter)
    return [
        {
            "params": parameters,
            "lr": lr * decay ** (last - layer),
            "weight_decay": weight_decay if decays else 0.0,
            "layer": layer,
        }
        for (layer, decays), parameters in sorted(members.items(), key=lambda item: item[0], reverse=True)
    ]
