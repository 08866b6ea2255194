"""Scoring a model on a data set with any number of processes."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import chain, groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.logging import print_log
from torch.utils.data import Dataset

from ..datasets.samplers import SceneShardSampler
from ..errors import EvaluationError
from ..evaluation import EvaluationState, OccupancyEvaluator, merge_states, write_prediction
from ..models.occupancy_model import OccupancyModel
from ..structures import OccBatch, OccLabels
from .distributed import all_gather, broadcast_tensors, local_device, rank, world_size
from .loaders import build_loader, checked

_SECONDS_BETWEEN_REPORTS = 15.0


@dataclass
class EvaluationResult:
    """What an evaluation has found, equal on every process.

    Attributes:
        state: counts over the whole data set.
        seconds: wall time.
        faults: sample token -> what could not be read of it.
    """

    state: EvaluationState
    seconds: float
    faults: dict[str, str] = field(default_factory=dict)

    @property
    def metrics(self) -> dict[str, float]:
        """Metric name -> fraction."""
        return self.state.compute()


def evaluate(
    model: OccupancyModel,
    dataset: Any,
    evaluator: OccupancyEvaluator,
    *,
    num_workers: int = 0,
    images_from: Callable[[int], int] | None = None,
    save_dir: str | Path | None = None,
) -> EvaluationResult:
    """Stream every scene of a data set through a model and score it. Called by all processes together.

    Whole scenes are dealt to the processes, so that histories are those of a single process; each sample is
    scored exactly once, which is asserted (but for those that lack files and must not be scored, see
    `mmdet3d_plugin.datasets.missing`); only counts travel between processes. A process without a scene waits. The
    counts of the scenes are added up in the order of the data set, whoever counted them: sums of velocity errors
    depend on the order in their last bit.

    Args:
        model: its weights on rank 0 are used on all processes.
        dataset: key frames with targets and, for the ray metric, ray origins.
        evaluator: says what is counted; it forgets what it has counted before.
        num_workers: loader processes of each process.
        images_from: control experiment: number of a sample -> number of the sample whose images the model is
            fed instead, see :func:`images_of_another_scene`.
        save_dir: where to write the predictions, nowhere if None.

    Returns:
        the counts of all processes.

    Raises:
        EvaluationError: samples are missing or were scored twice, or predictions do not fit the labels.
        DataError: a sample cannot be loaded.
    """
    started = time.perf_counter()
    sampler = SceneShardSampler(dataset.sequences, rank=rank(), world_size=world_size())
    shown = dataset if images_from is None else _WithImagesOf(dataset, images_from)
    loader = build_loader(shown, sampler, num_workers)
    was_training = model.training
    model.to(local_device()).eval()
    broadcast_tensors(model)
    model.reset_stream()
    report = _Progress(len(sampler))
    tokens = dataset.tokens.tolist()
    name_of = dict(zip(tokens, dataset.scene_names.tolist()))
    place_of = {tokens[i]: place for place, frames in enumerate(dataset.sequences) for i in frames}
    counted: list[tuple[int, EvaluationState]] = []  # scenes of this process: place in the data set, counts
    faults: dict[str, str] = {}
    left_out: list[str] = []
    with torch.inference_mode():
        batches = checked(loader, len(sampler))
        for place, scene in groupby(batches, lambda batch: place_of[batch.frames[-1].meta.token[0]]):
            evaluator.reset()
            for batch in scene:
                labels, names = model.val_step(batch), batch.frames[-1].meta.token
                faults.update({name: fault for name, fault in zip(names, batch.faults) if fault})
                if all(batch.usable):
                    evaluator.update(labels.occupancy, batch.targets, names, labels.flow)
                else:
                    left_out += names
                if save_dir is not None:
                    _save(labels, batch, name_of, Path(save_dir))
                report.step()
            counted.append((place, evaluator.state()))
    model.reset_stream()
    model.train(was_training)
    in_order = sorted(chain.from_iterable(all_gather(counted)), key=itemgetter(0))
    state = merge_states([scene for _, scene in in_order])
    unusable = set(chain.from_iterable(all_gather(left_out)))
    state.check_complete([token for token in tokens if token not in unusable])
    lost = dict(sorted(chain.from_iterable(part.items() for part in all_gather(faults))))
    return EvaluationResult(state, time.perf_counter() - started, lost)


def images_of_another_scene(dataset: Any) -> Callable[[int], int]:
    """A control for `evaluate(images_from=...)`: the frame of the next scene at the same position in its
    scene.

    What a model still scores with these images it owes to statistics of the labels, not to what it sees.

    Raises:
        EvaluationError: the data set has one scene only.
    """
    scenes = [np.asarray(sequence) for sequence in dataset.sequences]
    if len(scenes) < 2:
        raise EvaluationError("images of another scene need at least two scenes", found=len(scenes))
    donors = np.empty(len(dataset), dtype=np.int64)
    for frames, others in zip(scenes, scenes[1:] + scenes[:1]):
        donors[frames] = others[np.minimum(np.arange(len(frames)), len(others) - 1)]
    return lambda index: int(donors[index])


class _WithImagesOf(Dataset):
    """Samples that carry the images of other samples; calibration, motion and targets stay their own."""

    def __init__(self, dataset: Any, donor_of: Callable[[int], int]):
        self.dataset, self.donor_of, self.tokens = dataset, donor_of, dataset.tokens

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, request: Any) -> Any:
        index = request[0] if isinstance(request, tuple) else request
        sample, donor = copy.copy(self.dataset[index]), self.dataset[self.donor_of(index)]
        sample.images, sample.adjacent_images = donor.images, donor.adjacent_images
        return sample


def _save(labels: OccLabels, batch: OccBatch, name_of: dict[str, str], folder: Path) -> None:
    for lane, token in enumerate(batch.frames[-1].meta.token):
        flow = None if labels.flow is None else labels.flow[lane]
        write_prediction(folder, name_of[token], token, labels.occupancy[lane], flow)


class _Progress:
    """A log line now and then, by rank 0."""

    def __init__(self, count: int):
        self.count, self.done = count, 0
        self.started = self.reported = time.perf_counter()

    def step(self) -> None:
        self.done += 1
        now = time.perf_counter()
        if now - self.reported < _SECONDS_BETWEEN_REPORTS and self.done < self.count:
            return
        self.reported = now
        per_sample = (now - self.started) / self.done
        left = timedelta(seconds=round(per_sample * (self.count - self.done)))
        line = f"evaluated {self.done}/{self.count} samples of process 0  {per_sample:.3f} s each  eta {left}"
        print_log(line, logger="current")
