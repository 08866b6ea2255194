"""Geometry that follows from the calibration alone, computed once for all frames that share a rig."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

import torch

from ..structures import CameraRig

T = TypeVar("T")


class PerRig(Generic[T]):
    """Keeps the value that was computed last, and for which rig.

    A rig is known by its identity: to compare calibrations on a GPU, the CPU would have to wait for it. The model gives
    frames of equal calibration one rig object (:class:`mmdet3d_plugin.models.occupancy_model.ToDevice`). While
    gradients are recorded nothing is kept: the augmentation of training changes the rig with every frame, and values of
    inference mode must not enter a graph.
    """

    def __init__(self) -> None:
        self._last: tuple[CameraRig, Hashable, T] | None = None

    def get(self, rig: CameraRig, key: Hashable, compute: Callable[[], T]) -> T:
        """The value for a rig.

        Args:
            rig: calibration; its tensors are not changed in place.
            key: whatever else the value depends on.
            compute: makes the value.
        """
        if torch.is_grad_enabled():
            return compute()
        if self._last is None or self._last[0] is not rig or self._last[1] != key:
            self._last = (rig, key, compute())
        return self._last[2]
