"""Weighted random draws without replacement."""

from __future__ import annotations

import torch
from torch import Tensor


class PointSampler:
    """Draws cells without replacement, one independent draw per row.

    A draw of k items with probability proportional to w is the k largest of w_i / q_i with q_i ~ Exp(1)
    (Efraimidis and Spirakis 2006, "Weighted random sampling with a reservoir"). Cells of weight 0 have no
    key, so they are never drawn, however few others there are: then fewer than k are returned (spec/99 A21).
    """

    def draw(self, weights: Tensor, rows: int, count: int) -> Tensor:
        """Draw up to `count` cells for each of `rows` rows.

        Args:
            weights: [N] non-negative weight of each cell, the same for all rows.
            rows: number of independent draws R.
            count: cells per row.

        Returns:
            [R, min(count, M)] int64 indices into the N cells, in no particular order; M is the number of
            positive weights.
        """
        cells = weights.nonzero().squeeze(1)
        keys = weights[cells].float() / self.exponentials(rows, cells, weights.numel())
        chosen = keys.topk(min(count, cells.numel()), dim=1, sorted=False).indices
        return cells[chosen]

    def exponentials(self, rows: int, cells: Tensor, total: int) -> Tensor:
        """Independent Exp(1) variates [R, M] float32, one per row and drawable cell.

        Args:
            rows: number of rows R.
            cells: [M] indices of the cells with a positive weight, ascending.
            total: number of all cells; for subclasses that replay recorded numbers.
        """
        del total
        # Four times as fast on the CPU as Tensor.exponential_.
        return torch.rand(rows, cells.numel(), device=cells.device).log_().neg_()
