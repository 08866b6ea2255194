"""Which key frames make up a training batch of parallel streams (spec/08 section 8.1)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from ...errors import CheckpointError, ConfigError
from ...registry import DATA_SAMPLERS
from ..randomness import SampleRequest, Stream, generator
from ..sequences import sequence_lengths


@lru_cache(maxsize=8)
def _permutation(seed: int, number: int, count: int) -> np.ndarray:
    return generator(seed, Stream.SEQUENCE_ORDER, 0, number).permutation(count)


@DATA_SAMPLERS.register_module()
class StreamingBatchSampler:
    """Endless batches in which lane i continues the sequence that lane i of the batch before was in.

    There are G = world_size * lanes_per_process lanes. Lane j plays elements j, j + G, j + 2 G, ... of the
    endless concatenation of seeded permutations of all sequences, each from its first to its last key frame.
    A batch is therefore a function of (seed, G, step) alone: processes that share G lanes differently see the
    same global batches, and the number of consumed batches is the whole state. With fewer sequences than
    lanes the same rule lets several lanes play one sequence at a time, each from another permutation and so
    with another augmentation (`draw`).

    A loader fetches ahead of the training, so the training loop says what is consumed: `set_position(step)`
    before a checkpoint is written, and before the loader is started again.

    Args:
        sequences: positions of the key frames of each sequence, in order.
        lanes_per_process: batch size of a process.
        rank, world_size: of this process.
        seed: of the permutations.

    Raises:
        ConfigError: no sequence, an empty one, no lane, or a rank outside of the world.
    """

    def __init__(
        self,
        sequences: Sequence[Sequence[int]],
        lanes_per_process: int,
        rank: int = 0,
        world_size: int = 1,
        seed: int = 0,
    ):
        if lanes_per_process < 1 or not 0 <= rank < world_size:
            raise ConfigError(
                "StreamingBatchSampler cannot share out its lanes",
                found=f"lanes_per_process={lanes_per_process}, rank={rank}, world_size={world_size}",
                expected="at least one lane per process, and 0 <= rank < world_size",
            )
        self.sequences = tuple(np.asarray(s, dtype=np.int64) for s in sequences)
        self.lengths = sequence_lengths(self.sequences)
        self.seed = seed
        self.num_lanes = world_size * lanes_per_process
        self.lanes = range(rank * lanes_per_process, (rank + 1) * lanes_per_process)
        self.position = 0

    def __iter__(self) -> Iterator[list[SampleRequest]]:
        """Batches from the current position on; a later :meth:`set_position` does not move this iterator."""
        streams = [self._stream(lane, self.position) for lane in self.lanes]
        while True:
            yield [next(stream) for stream in streams]

    def set_position(self, batches: int) -> None:
        """Say how many batches are consumed: where the next iterator starts, and what a checkpoint holds."""
        if batches < 0:
            raise ConfigError("a sampler cannot be set to a negative position", found=batches)
        self.position = int(batches)

    def state_dict(self) -> dict[str, Any]:
        """Everything that decides the batches to come."""
        return {
            "position": self.position,
            "seed": self.seed,
            "num_lanes": self.num_lanes,
            "num_sequences": len(self.sequences),
            "num_frames": int(self.lengths.sum()),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where a checkpoint stopped; the number of processes may differ, the global batch may not.

        Raises:
            CheckpointError: the checkpoint was written with another seed, global batch or data set.
        """
        expected = self.state_dict()
        for key in ("seed", "num_lanes", "num_sequences", "num_frames"):
            if state.get(key) != expected[key]:
                raise CheckpointError(
                    f"the run cannot be resumed: {key} of its sampler differs",
                    found=f"{key}={state.get(key)} in the checkpoint",
                    expected=f"{key}={expected[key]} as configured now",
                    fix="resume with the same global batch, seed and data, or start a new run",
                )
        self.set_position(state["position"])

    def _stream(self, lane: int, skip: int) -> Iterator[SampleRequest]:
        """Requests of one lane, the first `skip` left out."""
        element = lane
        while True:
            draw, place = divmod(element, len(self.sequences))
            number = _permutation(self.seed, draw, len(self.sequences))[place]
            if skip >= self.lengths[number]:
                skip -= int(self.lengths[number])
            else:
                for index in self.sequences[number][skip:].tolist():
                    yield SampleRequest(index, draw)
                skip = 0
            element += self.num_lanes
