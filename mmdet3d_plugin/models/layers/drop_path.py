"""Dropping whole residual branches."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout


class DropPath(nn.Dropout):
    """Stochastic depth (Huang et al. 2016): in training, drops a whole sample with probability `p`.

    What remains is divided by 1 - p, so that the expectation is the input.
    """

    def forward(self, branch: Tensor) -> Tensor:
        """Map a residual branch [M, ...] to the same shape; every sample is either zero or scaled."""
        if not self.training or self.p == 0:
            return branch
        return branch * dropout(branch.new_ones((len(branch),) + (1,) * (branch.dim() - 1)), self.p)


def drop_rates(highest: float, depth: int) -> list[float]:
    """Probabilities that rise linearly from 0 at the first of `depth` blocks to `highest` at the last."""
    return torch.linspace(0, highest, depth, device="cpu").tolist()
