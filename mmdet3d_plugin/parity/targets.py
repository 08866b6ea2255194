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
from .recipe import NUSCENES, RETURNS, Inputs, depth, generator

_BLOCK = (4, 4, 2)  # voxels with one label, (Y, X, Z)
_IGNORED_SHARE, _UNTIL_FREE = 0.10, 0.75
_FASTEST, _MOVING_SHARE = 6.0, 0.06  # m/s


def targets(t: int, inputs: Inputs, facts: Mapping[str, Any], flow_labels: bool = False) -> OccTargets:
    """Targets of frame t.

    Args:
        t: number of the frame.
        inputs: of the golden file.
        facts: its entry `gt`: size (Y, X, Z) and the published ids of the first and of the free class.
        flow_labels: also give flow.
    """
    first, free, seed = facts["lo"], facts["free"], inputs.seed
    cameras = len(inputs.cameras)
    image_semantics = semantics(t, inputs.image_size, seed, first, free, cameras)
    return OccTargets(
        occupancy=torch.from_numpy(occupancy(t, facts["size"], seed, first, free))[None],
        depth=torch.from_numpy(depth(t, inputs.image_size, seed, cameras))[None],
        image_semantics=torch.from_numpy(image_semantics)[None],
        flow=torch.from_numpy(flow(t, facts["size"], seed))[None] if flow_labels else None,
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


def flow(t: int, size: Sequence[int], seed: int) -> NDArray[np.float32]:
    """Velocities [2, Z, Y, X] (v_x, v_y) in m/s of a few voxels, inf elsewhere; published labels hold (v_y, v_x)."""
    rng = generator(seed, 6, t)
    velocity = rng.uniform(-_FASTEST, _FASTEST, (*size, 2)).astype(np.float32)
    velocity[rng.random(tuple(size)) >= _MOVING_SHARE] = np.inf
    return np.ascontiguousarray(velocity[..., ::-1].transpose(3, 2, 0, 1))


def semantics(
    t: int, image_size: tuple[int, int], seed: int, first: int, free: int, cameras: int = len(NUSCENES)
) -> NDArray[np.uint8]:
    """Label ids of the data set [N, H, W] at the pixels that may hold a return, 255 elsewhere."""
    image = np.full((cameras, *image_size), IGNORE, dtype=np.uint8)
    labelled = image[RETURNS]
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
