"""From configs to batches: data sets, samplers and loaders, with errors that name the sample."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from ..datasets.collate import collate, init_worker
from ..datasets.randomness import SampleRequest
from ..datasets.samplers import StreamingBatchSampler
from ..errors import ConfigError, DataError, OccStudioError, closest
from ..evaluation import OccupancyEvaluator
from ..registry import DATASETS
from ..structures import OccBatch
from .plan import TrainPlan

_LOADER_KEYS = ("dataset", "num_workers")
_EVALUATION_KEYS = ("metrics", "mode")


@dataclass
class _Failure:
    """An error of a loader process on its way to the main process.

    PyTorch would re-raise it with a traceback as its text; what a user should read is the text of the error
    itself.
    """

    error: OccStudioError


class _NamedSamples(Dataset):
    """A data set whose errors name the sample, whatever raised them."""

    def __init__(self, dataset: Any):
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, request: int | SampleRequest) -> Any:
        try:
            return self.dataset[request]
        except OccStudioError as error:
            return _Failure(error)
        except Exception as error:
            index = request[0] if isinstance(request, tuple) else request
            raise RuntimeError(f"sample {self.dataset.tokens[index]} (number {index}) cannot be loaded") from error


def _collate(samples: Sequence[Any]) -> OccBatch | _Failure:
    for sample in samples:
        if isinstance(sample, _Failure):
            return sample
    return collate(samples)


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
    """A loader over the batches of a sampler that draws nothing from the global random generators."""
    return DataLoader(
        _NamedSamples(dataset),
        batch_sampler=sampler,
        num_workers=num_workers,
        collate_fn=_collate,
        worker_init_fn=init_worker,
        pin_memory=torch.cuda.is_available(),
        persistent_workers=num_workers > 0,
        generator=torch.Generator().manual_seed(0),
    )


def training_loader(cfg: dict[str, Any], plan: TrainPlan, seed: int, rank: int, processes: int) -> DataLoader:
    """The endless stream of batches of one process; from the position of its sampler on."""
    dataset = build_dataset(cfg)
    lanes = plan.lanes_per_process(processes)
    sampler = StreamingBatchSampler(dataset.sequences, lanes, rank=rank, world_size=processes, seed=seed)
    return build_loader(dataset, sampler, cfg.get("num_workers", 0))


def checked(loader: DataLoader, count: int) -> Iterator[Any]:
    """The first `count` batches of a loader; the errors of its processes are raised here."""
    iterator = iter(loader)
    for _ in range(count):
        try:
            batch = next(iterator)
        except RuntimeError as error:
            if "DataLoader worker" in str(error) and "exited unexpectedly" in str(error):
                raise DataError(
                    "a data loader process was killed, most likely because memory ran out",
                    found=str(error).splitlines()[0],
                    fix="lower num_workers (--cfg-options train_dataloader.num_workers=1)",
                ) from error
            raise
        if isinstance(batch, _Failure):
            raise batch.error
        yield batch
