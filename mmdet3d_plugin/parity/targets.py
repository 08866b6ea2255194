"""The synthetic labels and random draws behind the golden losses, rebuilt from golden/README."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..models.losses import PointSampler
from ..structures import IGNORE, OccTargets
from .recipe import NUM_CAMERAS, generator

_FIRST_ROW, _FIRST_COLUMN, _STEP = 3, 5, 8  # the pixels that hold a lidar return
_DEPTH_RANGE = (1.0, 44.0)  # metres
_KEPT_SHARE = 0.7
_BLOCK = (4, 4, 2)  # voxels with one label, (Y, X, Z)
_IGNORED_SHARE, _UNTIL_FREE = 0.10, 0.75


def targets(t: int, image_size: tuple[int, int], seed: int, facts: Mapping[str, Any]) -> OccTargets:
    """Targets of frame t.

    Args:
        t: number of the frame.
        image_size: (H, W) of the network input, pixels.
        seed: of the golden file.
        facts: its entry `gt`: size (Y, X, Z) and the published ids of the first and of the free class.
    """
    first, free = facts["lo"], facts["free"]
    return OccTargets(
        occupancy=torch.from_numpy(occupancy(t, facts["size"], seed, first, free))[None],
        depth=torch.from_numpy(depth(t, image_size, seed))[None],
        image_semantics=torch.from_numpy(semantics(t, image_size, seed, first, free))[None],
    )


def occupancy(t: int, size: Sequence[int], seed: int, first: int, free: int) -> NDArray[np.uint8]:
    """Labels in blocks of voxels, [Z, Y, X] ids of the data set: a tenth ignored, most of the rest free."""
    rng = generator(seed, 5, t)
    coarse = tuple(-(-n // block) for n, block in zip(size, _BLOCK))
    choice, classes = rng.random(coarse), rng.integers(first, free, coarse)
    labels = np.where(choice < _UNTIL_FREE, free, classes) - first
    labels = np.where(choice < _IGNORED_SHARE, IGNORE, labels).astype(np.uint8)
    for axis, block in enumerate(_BLOCK):
        labels = labels.repeat(block, axis)
    y, x, z = size
    return np.ascontiguousarray(labels[:y, :x, :z].transpose(2, 0, 1))


def depth(t: int, image_size: tuple[int, int], seed: int) -> NDArray[np.float32]:
    """Lidar depth [N, H, W] in metres at one pixel of each 8 x 8, 0 where there is none."""
    rng = generator(seed, 3, t)
    image = np.zeros((NUM_CAMERAS, *image_size), dtype=np.float32)
    returns = image[:, _FIRST_ROW::_STEP, _FIRST_COLUMN::_STEP]
    metres = rng.uniform(*_DEPTH_RANGE, returns.shape)
    returns[:] = metres * (rng.random(returns.shape) < _KEPT_SHARE)
    return image


def semantics(t: int, image_size: tuple[int, int], seed: int, first: int, free: int) -> NDArray[np.uint8]:
    """Label ids of the data set [N, H, W] at the pixels that may hold a return, 255 elsewhere."""
    image = np.full((NUM_CAMERAS, *image_size), IGNORE, dtype=np.uint8)
    labelled = image[:, _FIRST_ROW::_STEP, _FIRST_COLUMN::_STEP]
    labelled[:] = generator(seed, 4, t).integers(first, free, labelled.shape) - first
    return image


class ReplayedSampler(PointSampler):
    """Draws with the keys that stood behind the golden losses, one set per draw, counted over the whole run.

    Args:
        seed: of the golden file.
        size: (Y, X, Z) of the labels; published keys number voxels in this order.
    """

    def __init__(self, seed: int, size: Sequence[int]) -> None:
        self.seed = seed
        y, x, z = size
        self.published_from_ours = torch.arange(y * x * z).view(y, x, z).permute(2, 0, 1).flatten()
        self.draws = 0

    def exponentials(self, rows: int, cells: Tensor, total: int) -> Tensor:
        """The next Exp(1) variates [R, M] of the recipe."""
        rng = generator(self.seed, 99, self.draws)
        self.draws += 1
        keys = torch.from_numpy(rng.standard_exponential((rows, total), dtype=np.float32)).to(cells.device)
        order = self.published_from_ours.to(cells.device)
        return keys[:, order[cells] if total == order.numel() else cells]
