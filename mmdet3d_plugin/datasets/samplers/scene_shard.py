"""Which key frames a process evaluates: whole scenes, each frame once (spec/data/pipelines section 7)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ...errors import ConfigError
from ...registry import DATA_SAMPLERS
from ..randomness import SampleRequest
from ..sequences import sequence_lengths


@DATA_SAMPLERS.register_module()
class SceneShardSampler:
    """Finite batches of one key frame; every process plays its own scenes in order.

    Scenes are dealt out longest first, each to the process with the fewest key frames so far, so that no two
    processes differ by more than the longest scene. Processes beyond the number of scenes stay idle (length
    0).

    Args:
        sequences: positions of the key frames of each scene, in order.
        rank, world_size: of this process.

    Raises:
        ConfigError: no scene, an empty one, or a rank outside of the world.
    """

    def __init__(self, sequences: Sequence[Sequence[int]], rank: int = 0, world_size: int = 1):
        if not 0 <= rank < world_size:
            raise ConfigError("rank lies outside of the world", found=rank, expected=f"0 to {world_size - 1}")
        lengths = sequence_lengths(sequences)
        load = np.zeros(world_size, dtype=np.int64)
        mine = []
        for number in np.argsort(-lengths, kind="stable").tolist():
            process = int(load.argmin())
            load[process] += lengths[number]
            if process == rank:
                mine.append(number)
        self.indices = [int(i) for number in sorted(mine) for i in sequences[number]]

    def __len__(self) -> int:
        return len(self.indices)

    def __iter__(self) -> Iterator[list[SampleRequest]]:
        for index in self.indices:
            yield [SampleRequest(index, 0)]
