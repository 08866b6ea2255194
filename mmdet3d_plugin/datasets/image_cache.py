"""Images that were decoded a moment ago: the adjacent frame of a sample was the sample before it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

import numpy as np

IMAGE_CACHE_BYTES = 96 << 20
"""For every loader process. A lane needs its last two frames: 52 MB of six images of 1600 x 900 pixels."""


class ImageCache:
    """The images used last, as many as fit into a number of bytes (spec/data/defects C2).

    What `get` returns is the same whether it was kept or made again, so a cache changes the time of a sample and
    never its content. Each loader process fills its own: a copy or pickle of a cache is empty.

    Args:
        capacity: bytes that the kept images may take together; 0 keeps nothing.

    Attributes:
        nbytes: bytes that they take now, at most `capacity`.
        hits, misses: calls of `get` so far that found their image, and that had to make it.
    """

    def __init__(self, capacity: int):
        self.capacity = capacity
        self.nbytes = self.hits = self.misses = 0
        self._images: OrderedDict[Hashable, np.ndarray] = OrderedDict()

    def __reduce__(self) -> tuple[Any, ...]:
        return ImageCache, (self.capacity,)

    def __len__(self) -> int:
        return len(self._images)

    def get(self, key: Hashable, make: Callable[[], np.ndarray]) -> np.ndarray:
        """The image of a key; the caller must not write to it.

        Args:
            key: says everything that the image depends on.
            make: computes the image. What it raises is passed on, and nothing is kept.
        """
        kept = self._images.get(key)
        if kept is not None:
            self.hits += 1
            self._images.move_to_end(key)
            return kept
        self.misses += 1
        image = make()
        if image.nbytes <= self.capacity:
            while self.nbytes + image.nbytes > self.capacity:
                _, oldest = self._images.popitem(last=False)
                self.nbytes -= oldest.nbytes
            image.flags.writeable = False
            self._images[key] = image
            self.nbytes += image.nbytes
        return image
