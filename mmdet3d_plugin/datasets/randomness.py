"""Randomness that depends on what is drawn, never on who draws it or when.

Every random number of the data path comes from a Philox counter keyed by (seed, what, sample, draw). Results
are therefore equal for any number of workers, processes and resumptions.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np

from ..errors import ConfigError


class Stream(IntEnum):
    """What a stream of random numbers is used for; a value that was shipped never changes its meaning."""

    IMAGE = 0
    SCENE = 1
    SEQUENCE_ORDER = 2
    HISTORY = 3


class SampleRequest(NamedTuple):
    """What a sampler asks of a data set.

    Attributes:
        index: position of the key frame in the data set.
        draw: how many times the stream has passed over the data before; another draw gives another
            augmentation.
    """

    index: int
    draw: int = 0


def generator(seed: int, stream: Stream, index: int = 0, draw: int = 0) -> np.random.Generator:
    """The random numbers of one sample in one draw, independent of those of all others.

    Raises:
        ConfigError: a negative seed.
    """
    if seed < 0:
        raise ConfigError("the seed of a data set or sampler is negative", found=seed, expected="seed >= 0")
    # The low word of the counter is left to the generator, so that streams cannot run into each other.
    return np.random.Generator(np.random.Philox(key=[seed, int(stream)], counter=[0, index, draw, 0]))
