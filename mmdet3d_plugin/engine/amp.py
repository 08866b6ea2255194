"""Mixed precision on CPU and CUDA."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.optim import OptimWrapper
from torch import nn

from ..registry import OPTIM_WRAPPERS
from .distributed import local_device


@OPTIM_WRAPPERS.register_module()
class BFloat16OptimWrapper(OptimWrapper):
    """Runs the forward pass under bfloat16 autocast; weights, optimiser and losses stay float32.

    bfloat16 has the exponent range of float32, so that gradients need no loss scaling. Geometry must not be
    rounded to 8 bits: stages compute coordinates outside of autocast.

    Args:
        optimizer: the optimiser.
        accumulative_counts: steps whose gradients are summed before an update.
        clip_grad: arguments of `torch.nn.utils.clip_grad_norm_`.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, accumulative_counts: int = 1, clip_grad: dict | None = None):
        super().__init__(optimizer=optimizer, accumulative_counts=accumulative_counts, clip_grad=clip_grad)

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """The context of the forward pass."""
        with super().optim_context(model), torch.autocast(local_device().type, dtype=torch.bfloat16):
            yield
