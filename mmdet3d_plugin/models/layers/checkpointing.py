"""Activation checkpointing that leaves BatchNorm statistics alone while it recomputes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint


@contextmanager
def frozen_statistics(module: nn.Module) -> Iterator[None]:
    """BatchNorm layers of `module` work as before inside, but their running statistics stay what they are.

    They write to copies, because the checkpoint demands that both passes save the same number of tensors for
    backward, running statistics among them.
    """
    norms = [m for m in module.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]
    kept = [dict(norm._buffers) for norm in norms]
    for norm in norms:
        for name, buffer in norm._buffers.items():
            norm._buffers[name] = None if buffer is None else buffer.clone()
    try:
        yield
    finally:
        for norm, buffers in zip(norms, kept):
            norm._buffers.update(buffers)


def run_checkpointed(owner: nn.Module, function: Callable[..., Any], *inputs: Any) -> Any:
    """`function(*inputs)`, keeping no activations: the backward pass computes them again.

    The second computation would update the running statistics of BatchNorm a second time per step (spec/99
    A27); here it does not. In evaluation, or when no gradient is recorded, the function is simply called.

    Args:
        owner: module that holds every BatchNorm layer that `function` uses.
        function: differentiable computation.
        inputs: its arguments.
    """
    if not (owner.training and torch.is_grad_enabled()):
        return function(*inputs)

    def contexts() -> tuple[AbstractContextManager, AbstractContextManager]:
        return nullcontext(), frozen_statistics(owner)

    return checkpoint(function, *inputs, use_reentrant=False, context_fn=contexts)
