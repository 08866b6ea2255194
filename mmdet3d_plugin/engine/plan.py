"""How long to train, written in samples seen, so that it does not depend on the number of processes."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

from ..errors import ConfigError, closest


@dataclass(frozen=True)
class TrainPlan:
    """The `train_cfg` of a config. All counts are training samples of all processes together.

    Attributes:
        samples: length of the training; rounded up to whole batches.
        global_batch: samples per optimiser step, the number of parallel streams.
        val_every: validate each time that many samples have been seen, and at the end; 0 = never.
        checkpoint_every: save each time that many samples have been seen, and at the end.
    """

    samples: int
    global_batch: int
    val_every: int
    checkpoint_every: int

    def __post_init__(self) -> None:
        if min(self.samples, self.global_batch, self.checkpoint_every) < 1 or self.val_every < 0:
            raise ConfigError(
                "train_cfg: samples, global_batch and checkpoint_every must be positive, val_every 0 or more",
                found=self,
            )

    @classmethod
    def from_config(cls, cfg: dict[str, Any]) -> TrainPlan:
        """Build from `train_cfg`, naming the nearest key for one that does not exist."""
        names = [f.name for f in fields(cls)]
        for key in cfg:
            if key not in names:
                raise ConfigError(f"train_cfg has no key {key!r}", expected=closest(key, names))
        for name in names:
            if name not in cfg:
                raise ConfigError(f"train_cfg lacks the key {name!r}", found=dict(cfg))
        return cls(**cfg)

    @property
    def steps(self) -> int:
        """Optimiser steps of the whole training."""
        return math.ceil(self.samples / self.global_batch)

    def lanes_per_process(self, processes: int) -> int:
        """Parallel streams of one process.

        Raises:
            ConfigError: the global batch does not divide among the processes.
        """
        if self.global_batch % processes:
            divisors = [n for n in range(1, self.global_batch + 1) if self.global_batch % n == 0]
            raise ConfigError(
                f"a global batch of {self.global_batch} cannot be split over {processes} processes",
                expected=f"a number of processes out of {divisors}",
                fix="change NUM_GPUS, or train_cfg.global_batch with --cfg-options",
            )
        return self.global_batch // processes

    def is_due(self, every: int, step: int) -> bool:
        """True if something that happens `every` samples is due after `step` steps (1 = the first)."""
        if every == 0:
            return False
        seen, before = step * self.global_batch, (step - 1) * self.global_batch
        return step == self.steps or seen // every > before // every
