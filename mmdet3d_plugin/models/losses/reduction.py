"""Averages over the processes of a distributed training."""

from __future__ import annotations

import torch
from torch import Tensor
from torch import distributed as dist


@torch.no_grad()
def reduce_mean(value: Tensor) -> Tensor:
    """Mean of a tensor over all processes, without gradient; the value itself in a single process."""
    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
        return value.detach()
    total = value.detach().clone()
    dist.all_reduce(total)
    return total / dist.get_world_size()
