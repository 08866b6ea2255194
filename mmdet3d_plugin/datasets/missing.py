"""Files of a sample that are missing or broken, and what a data set does about them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeVar

import numpy as np

from ..errors import DataError
from ..structures import IGNORE, LabelSpace, VoxelGrid
from .labels.base import LabelVolume
from .sample import Sample

OnMissing = Literal["error", "skip", "mask"]
"""What happens where a file cannot be read: "error" stops and names it. "mask" goes on with what is left: a lost image
is black, lost labels and depths are none at all. "skip" does the same, so that the history of a stream goes on, but
neither trains on the sample nor scores it. Samples without labels are never scored."""
POLICIES: tuple[OnMissing, ...] = ("error", "skip", "mask")
Part = TypeVar("Part")


class Faults:
    """What could not be read of one sample.

    Args:
        policy: what to do about it.

    Attributes:
        messages: one for each file that was lost.
        unlabelled: the labels are among them.
    """

    def __init__(self, policy: OnMissing):
        self.policy = policy
        self.messages: list[str] = []
        self.unlabelled = False

    def attempt(self, load: Callable[[], Part], substitute: Callable[[], Part]) -> Part:
        """What `load` reads, or the substitute where it cannot be read.

        Raises:
            DataError: it cannot be read, and the policy is to stop.
        """
        try:
            return load()
        except DataError as error:
            if self.policy == "error":
                raise
            self.messages.append(str(error))
            return substitute()

    def no_labels(self, space: LabelSpace, grid: VoxelGrid) -> LabelVolume:
        """Labels of nothing: every voxel is ignored, no voxel has a flow."""
        self.unlabelled = True
        flow = np.full((2, *grid.zyx), np.inf, dtype=np.float32) if space.flow else None
        return LabelVolume(np.full(grid.zyx, IGNORE, dtype=np.uint8), flow=flow)

    def note(self, sample: Sample) -> None:
        """Tell a sample what it lacks, and take its targets away if it is to be skipped."""
        sample.faults = tuple(self.messages)
        sample.usable = not (self.unlabelled or (self.messages and self.policy == "skip"))
        if sample.usable:
            return
        for target, nothing in (("occupancy", IGNORE), ("flow", np.inf), ("depth", 0), ("image_semantics", IGNORE)):
            values = getattr(sample, target)
            if values is not None:
                values[...] = nothing
