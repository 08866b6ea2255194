"""Which past images a sample gets (spec/data/pipelines section 5.4)."""

from __future__ import annotations

from typing import Literal

import numpy as np

from ...errors import ConfigError
from ...registry import TRANSFORMS

SHORTEST, LONGEST = 4, 8
"""Bounds of the distance between two chosen images in training, counted in images."""
TEST_INTERVAL = 6
"""Distance in evaluation: five sweeps and a key frame are half a second."""


@TRANSFORMS.register_module()
class ImageHistory:
    """Chooses past images at equal distances, from those before a key frame, newest first.

    Args:
        frames: number of past images of each camera.
        empty: what a data set without any sweeps is: "error", or "repeat": the current images take the place of all
            past ones, as it was published by mistake (spec/data/defects F11). The first key frame of a scene has no
            past and repeats its own images either way.

    Attributes:
        reach: how many past images are worth listing; older ones are never chosen.

    Raises:
        ConfigError: no frames, or an unknown `empty`.
    """

    def __init__(self, frames: int = 7, empty: Literal["error", "repeat"] = "error"):
        if frames < 1 or empty not in ("error", "repeat"):
            raise ConfigError(
                "ImageHistory cannot use its arguments",
                found=f"frames={frames}, empty={empty!r}",
                expected="frames >= 1, empty 'error' or 'repeat'",
            )
        self.frames = frames
        self.empty = empty
        self.reach = frames * LONGEST

    def choose(self, complete: np.ndarray, rng: np.random.Generator | None = None) -> np.ndarray:
        """Positions of the chosen images, newest first.

        In training up to `frames` images are taken as they are, and the last one again until there are enough; of more
        the distance is drawn from [min(4, m), min(8, m)] with m = length // frames. In evaluation it is 6, and
        positions beyond the end are the end. A position where a camera lacks its image is exchanged for the next newer
        one that is complete, or the newest one that is.

        Args:
            complete: [L] bool, newest first: every camera has its image. At least one has.
            rng: random numbers of this sample in training; None in evaluation.

        Returns:
            [frames] int64.
        """
        length, steps = len(complete), np.arange(1, self.frames + 1)
        if rng is None:
            positions = steps * TEST_INTERVAL - 1
        elif length <= self.frames:
            positions = steps - 1
        else:
            most = length // self.frames
            positions = steps * rng.integers(min(SHORTEST, most), min(LONGEST, most), endpoint=True) - 1
        whole = np.flatnonzero(complete)
        newer = np.searchsorted(whole, np.minimum(positions, length - 1), side="right") - 1
        return whole[np.maximum(newer, 0)]
