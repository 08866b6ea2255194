"""What any model must beat: predictions that never look at an image."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..errors import EvaluationError
from ..structures import LabelSpace, VoxelGrid


class MajorityBaseline:
    """Predicts for every voxel the label that is most frequent there in the training samples.

    Memory is one 16-bit count per voxel and class (23 MB on the Occ3D grid), wider only beyond 65535 samples.

    Args:
        space: label space of the training labels.
        grid: their grid.
    """

    def __init__(self, space: LabelSpace, grid: VoxelGrid):
        self.space, self.grid = space, grid
        self._counts = np.zeros((grid.num_voxels, space.num_classes), np.uint16)
        self._samples = 0

    def update(self, occupancy: Tensor, mask: Tensor | None = None) -> None:
        """Count training labels.

        Args:
            occupancy: [B, Z, Y, X] uint8 label ids; the ignored label is not counted.
            mask: [B, Z, Y, X] bool, voxels that are trained on; None for all.

        Raises:
            EvaluationError: a shape does not fit the grid, or a label is out of range.
        """
        if tuple(occupancy.shape[1:]) != self.grid.zyx or (mask is not None and mask.shape != occupancy.shape):
            raise EvaluationError(
                "training labels of the majority baseline",
                found=tuple(occupancy.shape),
                expected=f"[B, Z, Y, X] with {self.grid.zyx}, and a mask of the same shape",
            )
        for index, sample in enumerate(occupancy):
            labels = sample.reshape(-1).cpu().numpy()
            valid = labels != self.space.ignore
            if mask is not None:
                valid &= mask[index].reshape(-1).cpu().numpy()
            voxels = np.flatnonzero(valid)
            if len(voxels) and labels[voxels].max() >= self.space.num_classes:
                raise EvaluationError(
                    "training label of the majority baseline is out of range",
                    found=int(labels[voxels].max()),
                    expected=f"0 to {self.space.num_classes - 1} or {self.space.ignore}",
                )
            if self._samples == np.iinfo(self._counts.dtype).max:
                self._counts = self._counts.astype(np.uint32)
            self._counts[voxels, labels[voxels]] += 1
            self._samples += 1

    def predict(self) -> Tensor:
        """Most frequent label of every voxel, the lowest id on ties; free where no label was seen.

        Returns:
            [Z, Y, X] uint8 label ids.

        Raises:
            EvaluationError: no training sample was counted.
        """
        if self._samples == 0:
            raise EvaluationError("the majority baseline has seen no training sample", fix="call update first")
        best = self._counts.argmax(axis=1).astype(np.uint8)
        best[self._counts.max(axis=1) == 0] = self.space.free
        return torch.from_numpy(best.reshape(self.grid.zyx))
