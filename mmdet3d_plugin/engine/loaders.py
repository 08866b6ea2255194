"""From configs to batches: data sets, samplers and loaders, with errors that name the sample."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

import torch
from mmengine.logging import print_log
from torch.utils.data import DataLoader, Dataset, Sampler

from ..datasets.collate import collate, init_worker
from ..datasets.randomness import SampleRequest
from ..datasets.sample import Sample
from ..datasets.samplers import StreamingBatchSampler
from ..errors import ConfigError, DataError, OccStudioError, closest
from ..evaluation import OccupancyEvaluator
from ..registry import DATASETS
from ..structures import OccBatch
from .plan import TrainPlan

_LOADER_KEYS = ("dataset", "num_workers")
_EVALUATION_KEYS = ("metrics", "mode")
RUN = 4
"""Batches that a loader process loads one after the other where samples hold adjacent images: only then it has
decoded most of those a sample earlier. More would save little and keep more batches in memory."""


@dataclass
class _Failure:
    """An error of a loader process on its way to the main process.

    PyTorch would re-raise it with a traceback as its text; what a user should read is the text of the error
    itself.
    """

    error: OccStudioError


class Runs(Sampler[list[list[SampleRequest]]]):
    """A batch sampler that hands out `length` consecutive batches of another one at a time.

    DataLoader gives every loader process the next element of its sampler, so that with single batches the frame
    before a sample was always loaded by another process. What the training loop asks of its sampler is passed on.
    """

    def __init__(self, batches: Any, length: int):
        self.batches = batches
        self.length = length

    def __iter__(self) -> Iterator[list[list[SampleRequest]]]:
        batches = iter(self.batches)
        while run := list(islice(batches, self.length)):
            yield run

    @property
    def position(self) -> int:
        return self.batches.position

    def set_position(self, batches: int) -> None:
        self.batches.set_position(batches)

    def state_dict(self) -> dict[str, Any]:
        return self.batches.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.batches.load_state_dict(state)


class BatchRuns(Dataset):
    """Runs of batches of a data set, with errors that name the sample, whatever raised them."""

    def __init__(self, dataset: Any):
        self.dataset = dataset

    def __getitems__(self, run: Sequence[Sequence[SampleRequest]]) -> list[OccBatch | _Failure]:
        """The batches of a run. Lane by lane, so that few adjacent images wait for their sample at a time."""
        lanes = [[self._sample(request) for request in lane] for lane in zip(*run)]
        return [self.collate(batch) for batch in zip(*lanes)]

    def _sample(self, request: SampleRequest) -> Sample | _Failure:
        try:
            return self.dataset[request]
        except OccStudioError as error:
            return _Failure(error)
        except Exception as error:
            name = self.dataset.tokens[request.index]
            raise RuntimeError(f"sample {name} (number {request.index}) cannot be loaded") from error

    def collate(self, samples: Sequence[Any]) -> OccBatch | _Failure:
        """A batch, or the error of its first sample that has one."""
        for sample in samples:
            if isinstance(sample, _Failure):
                return sample
        return collate(samples)


def _unchanged(run: list[OccBatch | _Failure]) -> list[OccBatch | _Failure]:
    return run


def build_dataset(cfg: dict[str, Any]) -> Any:
    """The data set of a `train_dataloader` or `val_dataloader`."""
    for key in cfg:
        if key not in _LOADER_KEYS:
            raise ConfigError(f"a dataloader takes no key {key!r}", expected=closest(key, _LOADER_KEYS))
    return DATASETS.build(cfg["dataset"])


def build_evaluator(cfg: dict[str, Any], dataset: Any) -> OccupancyEvaluator:
    """The evaluator that `evaluation = dict(metrics=..., mode=...)` describes, for the labels of a data
    set.
    """
    for key in cfg:
        if key not in _EVALUATION_KEYS:
            raise ConfigError(f"evaluation has no key {key!r}", expected=closest(key, _EVALUATION_KEYS))
    return OccupancyEvaluator(dataset.label_space, dataset.grid, **cfg)


def build_loader(dataset: Any, sampler: Any, num_workers: int) -> DataLoader:
    """A loader over the batches of a sampler that draws nothing from the global random generators.

    It gives lists of consecutive batches; :func:`checked` gives them one by one.
    """
    length = RUN if num_workers > 0 and getattr(dataset, "load_adjacent", False) else 1
    return DataLoader(
        BatchRuns(dataset),
        batch_sampler=Runs(sampler, length),
        num_workers=num_workers,
        prefetch_factor=(2 if length == 1 else 1) if num_workers > 0 else None,
        collate_fn=_unchanged,
        worker_init_fn=init_worker,
        pin_memory=torch.cuda.is_available(),
        persistent_workers=num_workers > 0,
        generator=torch.Generator().manual_seed(0),
    )


def training_loader(cfg: dict[str, Any], plan: TrainPlan, seed: int, rank: int, processes: int) -> DataLoader:
    """The endless stream of batches of one process; from the position of its sampler on."""
    dataset = build_dataset(cfg)
    dataset.seed = seed
    lanes = plan.lanes_per_process(processes)
    sampler = StreamingBatchSampler(dataset.sequences, lanes, rank=rank, world_size=processes, seed=seed)
    return build_loader(dataset, sampler, cfg.get("num_workers", 0))


def checked(loader: DataLoader, count: int) -> Iterator[Any]:
    """The first `count` batches of a loader; errors of its processes are raised here, and lost files are logged."""
    lost = 0
    for batch in islice(chain.from_iterable(_runs(loader)), count):
        if isinstance(batch, _Failure):
            raise batch.error
        for token, fault, usable in zip(batch.frames[-1].meta.token, batch.faults, batch.usable):
            if fault:
                lost += 1
                use = "used without" if usable else "not used"
                text = f"sample {token} lacks files, it is {use} ({lost} samples so far): {fault}"
                print_log(text, logger="current", level=logging.WARNING)
        yield batch


def _runs(loader: DataLoader) -> Iterator[list[OccBatch | _Failure]]:
    """What a loader gives, until it is exhausted."""
    try:
        yield from loader
    except RuntimeError as error:
        if "DataLoader worker" in str(error) and "exited unexpectedly" in str(error):
            raise DataError(
                "a data loader process was killed, most likely because memory ran out",
                found=str(error).splitlines()[0],
                fix="lower num_workers (--cfg-options train_dataloader.num_workers=1)",
            ) from error
        raise
