"""Exponential moving average of the weights, with the ramp that the published models were trained with."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor, nn

from ...errors import CheckpointError
from ...registry import HOOKS
from ..distributed import unwrapped


@HOOKS.register_module()
class RampedEma(Hook):
    """Average of every floating tensor of the model, batch-norm statistics included (spec 8.3).

    Update number u (counting from `init_updates`) keeps the share d(u) = decay * (1 - exp(-u / ramp)) of the
    average and takes the rest from the model. A tensor that is reached by two names is averaged once (spec
    99, A4). Validation and checkpoints use the average.

    Args:
        decay: share kept in the limit.
        ramp: number of updates in which the share approaches `decay`.
        init_updates: where the count starts; the published schedule skips the beginning of the ramp.
    """

    priority = "ABOVE_NORMAL"

    def __init__(self, decay: float = 0.999, ramp: int = 2000, init_updates: int = 10560):
        self.decay, self.ramp, self.updates = decay, ramp, init_updates
        self.average: dict[str, Tensor] = {}

    def share(self, updates: int) -> float:
        """Share of the average that update number `updates` keeps."""
        return self.decay * (1.0 - math.exp(-updates / self.ramp))

    def before_train(self, runner: Runner) -> None:
        """Start from the weights of the model, unless a checkpoint has brought an average."""
        if not self.average:
            self.average = {name: t.detach().clone() for name, t in _distinct(unwrapped(runner.model)).items()}

    @torch.no_grad()
    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: object = None, outputs: dict | None = None
    ) -> None:
        """Move the average towards the weights after the step."""
        self.updates += 1
        weight = 1.0 - self.share(self.updates)
        floating: tuple[list[Tensor], list[Tensor]] = ([], [])
        for name, tensor in _distinct(unwrapped(runner.model)).items():
            if tensor.is_floating_point():
                floating[0].append(self.average[name])
                floating[1].append(tensor)
            else:
                self.average[name].copy_(tensor)
        torch._foreach_lerp_(floating[0], floating[1], weight)

    @contextmanager
    def applied(self, model: nn.Module) -> Iterator[None]:
        """Let the model carry the average inside the context."""
        tensors = _distinct(unwrapped(model))
        kept = {name: tensor.detach().clone() for name, tensor in tensors.items()}
        _copy(self.average, tensors)
        try:
            yield
        finally:
            _copy(kept, tensors)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Add the average under the names of the state dict, tied tensors included."""
        state = unwrapped(runner.model).state_dict()
        first = {tensor.data_ptr(): name for name, tensor in reversed(state.items())}
        checkpoint["averaged"] = {
            name: self.average[first[t.data_ptr()] if t.numel() else name] for name, t in state.items()
        }
        checkpoint["ema_updates"] = self.updates

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Continue the average of a checkpoint."""
        if "ema_updates" not in checkpoint:
            raise CheckpointError(
                "the checkpoint to resume holds no averaged weights",
                fix="resume with the config it was trained with",
            )
        self.updates = checkpoint["ema_updates"]
        self.average = {
            name: checkpoint["averaged"][name].to(tensor.device, copy=True)
            for name, tensor in _distinct(unwrapped(runner.model)).items()
        }


def _distinct(model: nn.Module) -> dict[str, Tensor]:
    """The tensors of the state dict, each once under its first name."""
    seen: set[int] = set()
    tensors = {}
    for name, tensor in model.state_dict().items():
        if tensor.numel() and tensor.data_ptr() in seen:
            continue
        seen.add(tensor.data_ptr())
        tensors[name] = tensor
    return tensors


@torch.no_grad()
def _copy(source: dict[str, Tensor], target: dict[str, Tensor]) -> None:
    for name, tensor in target.items():
        tensor.copy_(source[name])
