"""How fast samples are loaded: samples per second of one core, the share of every step, bytes shipped."""

from __future__ import annotations

import argparse
import copy
import dataclasses
import json
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.config import Config, DictAction

from ..cli import guard
from ..config import load_config
from ..datasets.base import OccDataset
from ..datasets.files import read_bytes
from ..datasets.image_cache import ImageCache
from ..datasets.randomness import SampleRequest
from ..datasets.samplers import SceneShardSampler, StreamingBatchSampler
from ..errors import ConfigError, DataError
from ..structures import OccBatch
from .environment import describe_environment
from .loaders import RUN, BatchRuns, Runs, build_dataset
from .published_loading import PublishedPipeline, normalise

SETTINGS = {
    "bit_equal": {"resampling": "pil", "pixel_center": False},
    "fast": {"resampling": "warp", "pixel_center": True},
}
"""Arguments of `ImagePipeline` that the two settings are made of: those of the published and the corrected profile."""
_LANES = 2  # samples of a training batch on one GPU, as published (spec/data/pipelines section 0)
Run = list[list[SampleRequest]]


class StepClock:
    """CPU time of this process and number of calls by step; a step within a step counts only as itself."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.calls: Counter[str] = Counter()
        self._inner = [0.0]

    def clear(self) -> None:
        """Forget what was measured."""
        self.seconds.clear()
        self.calls.clear()

    def timed(self, step: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, its time added to a step."""

        def run(*arguments: Any, **named: Any) -> Any:
            self._inner.append(0.0)
            started = time.process_time()
            try:
                return function(*arguments, **named)
            finally:
                spent = time.process_time() - started
                self.seconds[step] += spent - self._inner.pop()
                self.calls[step] += 1
                self._inner[-1] += spent

        return run

    def watch(self, owner: Any, steps: dict[str, str]) -> None:
        """Time methods of one object, given as method -> step, from now on."""
        for method, step in steps.items():
            setattr(owner, method, self.timed(step, getattr(owner, method)))


class _Contender:
    """One way to load runs of batches, and what was measured of it."""

    def __init__(self, load: Callable[[Run], Any], clock: StepClock):
        self.load = load
        self.clock = clock
        self.clear()

    def clear(self) -> None:
        self.seconds: list[float] = []  # per sample, one entry a run
        self.samples = self.bytes = 0
        self.clock.clear()

    def play(self, run: Run) -> Any:
        count = sum(map(len, run))
        started = time.process_time()
        batches = self.load(run)
        self.seconds.append((time.process_time() - started) / count)
        self.samples += count
        self.bytes += count_bytes(batches)
        return batches

    def summary(self) -> dict[str, Any]:
        steps = {step: spent / self.samples * 1e3 for step, spent in self.clock.seconds.items()}
        return {
            "samples_per_second_per_core": 1 / float(np.median(self.seconds)),
            "ms_per_sample": {"median": float(np.median(self.seconds)) * 1e3, "min": min(self.seconds) * 1e3},
            "steps_ms": {**steps, "other": float(np.mean(self.seconds)) * 1e3 - sum(steps.values())},
            "images_decoded_per_sample": self.clock.calls["decode"] / self.samples,
            "mib_shipped_per_sample": self.bytes / self.samples / 2**20,
        }


def count_bytes(value: Any) -> int:
    """Bytes of all tensors and arrays in nested dataclasses, dicts and sequences."""
    if isinstance(value, (torch.Tensor, np.ndarray)):
        return int(value.nbytes)
    if dataclasses.is_dataclass(value):
        return sum(count_bytes(getattr(value, field.name)) for field in dataclasses.fields(value))
    if isinstance(value, dict):
        return sum(map(count_bytes, value.values()))
    return sum(map(count_bytes, value)) if isinstance(value, (list, tuple)) else 0


def loader_benchmark(cfg: Config, *, samples: int = 64, root: str | Path | None = None) -> dict[str, Any]:
    """Measure the loading of training and of test samples, in this process and on one core.

    Three ways take turns, run by run as loader processes do it (:data:`RUN`), on the same samples:

    * `bit_equal`: this pipeline with the pixels of the published one, which is checked for every sample;
    * `fast`: this pipeline as the corrected profile sets it;
    * `published`: the steps of the published pipeline (:class:`PublishedPipeline`).

    A run starts with an empty cache, as if other processes had loaded what came before.

    Args:
        cfg: a config whose data set has labels in one npz file with `semantics` and `mask_camera` (Occ3D).
        samples: measured samples, rounded up to whole runs.
        root: another data set folder than that of the config; its only table folder is the version.

    Returns:
        what was measured, plain values for JSON. Times are CPU time, the published ones without shipping.

    Raises:
        ConfigError: no samples.
        DataError: there is no data, or pixels of `bit_equal` are not those of the published pipeline.
    """
    if samples < 1:
        raise ConfigError("the benchmark needs samples", found=samples, expected=">= 1")
    environment = describe_environment()
    with _one_core():
        measured = {name: _measure(_placed(cfg[f"{name}_dataloader"], root), samples) for name in ("train", "test")}
    return {
        "config": Path(cfg.filename).name,
        "device": environment["devices"][-1],
        "cpu": _cpu_name(),
        "git": environment["git"],
        "batches_per_run": RUN,
        **measured,
    }


@contextmanager
def _one_core() -> Iterator[None]:
    torch_threads, cv2_threads = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    try:
        yield
    finally:
        torch.set_num_threads(torch_threads)
        cv2.setNumThreads(cv2_threads)


def _cpu_name() -> str:
    """Model of the CPU where the system tells it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")


def _placed(loader: dict[str, Any], root: str | Path | None) -> dict[str, Any]:
    """A loader config with its data set at another root."""
    loader = copy.deepcopy(dict(loader))
    if root is not None:
        versions = sorted(path.name for path in Path(root).glob("v1.0-*"))
        if len(versions) != 1:
            raise DataError(
                f"{root} does not hold one version of a data set",
                found=versions,
                fix="name root and version with --cfg-options",
            )
        loader["dataset"].update(root=str(root), version=versions[0])
    return loader


def _measure(loader: dict[str, Any], samples: int) -> dict[str, Any]:
    datasets = {}
    for setting, arguments in SETTINGS.items():
        chosen = copy.deepcopy(loader)
        chosen["dataset"]["image"].update(arguments)
        datasets[setting] = build_dataset(chosen)
    dataset = datasets["bit_equal"]
    contenders = {setting: _ours(datasets[setting]) for setting in SETTINGS}
    contenders["published"] = _published(dataset)
    training = dataset.mode == "train"
    sampler = StreamingBatchSampler(dataset.sequences, _LANES) if training else SceneShardSampler(dataset.sequences)
    count = -(-samples // (RUN * (_LANES if training else 1)))
    for number, run in enumerate(islice(cycle(Runs(sampler, RUN)), count + 1)):
        _warm(dataset, run)
        batches = {name: contender.play(run) for name, contender in contenders.items()}
        _require_equal(batches["bit_equal"], batches["published"])
        if number == 0:  # everything is compiled now
            for contender in contenders.values():
                contender.clear()
    results = {name: contender.summary() for name, contender in contenders.items()}
    times = {name: result["ms_per_sample"]["median"] for name, result in results.items()}
    return {
        "source_images": [len(dataset.cameras), *dataset.image_sizes(0)[0].tolist()[::-1]],
        "images": [len(dataset.cameras), *dataset.image.size],
        "adjacent": dataset.load_adjacent,
        "batch_size": _LANES if training else 1,
        "samples": contenders["fast"].samples,
        **results,
        "times_published": {name: times["published"] / times[name] for name in SETTINGS},
    }


def _ours(dataset: OccDataset) -> _Contender:
    clock, batches = StepClock(), BatchRuns(dataset)
    clock.watch(dataset.image, {"_decode": "decode", "_transform": "resize, crop, flip, rotate"})
    clock.watch(dataset, {"_add_labels": "labels", "_add_depth": "points, depth maps"})
    clock.watch(batches, {"collate": "collate"})

    def load(run: Run) -> Any:
        dataset.image_cache = ImageCache(dataset.image_cache.capacity)
        return batches.__getitems__(run)

    return _Contender(load, clock)


def _published(dataset: OccDataset) -> _Contender:
    clock, pipeline = StepClock(), PublishedPipeline(dataset)
    steps = {
        "decoded": "decode",
        "resized": "resize, crop, flip, rotate",
        "normalised": "normalise",
        "labels": "labels",
        "points": "points, depth maps",
        "depth_maps": "points, depth maps",
        "collate": "collate",
    }
    clock.watch(pipeline, steps)
    return _Contender(lambda run: [pipeline.collate([pipeline.load(request) for request in b]) for b in run], clock)


def _warm(dataset: OccDataset, run: Run) -> None:
    """Read the files of a run once, so that nobody's time holds the reading from disk."""
    for request in (request for batch in run for request in batch):
        for index in (request.index, dataset.previous(request.index)):
            for file in dataset.image_files(index):
                read_bytes(file)


def _require_equal(ours: Sequence[OccBatch], published: Sequence[dict[str, Any]]) -> None:
    """Raise a DataError unless all images are those of the published pipeline, bit by bit."""
    for batch, reference in zip(ours, published, strict=True):
        frame = batch.frames[-1]
        images = [frame.images] if frame.adjacent is None else [frame.images, frame.adjacent.images]
        shown = torch.stack(images, dim=2).flatten(0, 2)  # camera-major, as published
        expected = reference["imgs"].flatten(0, 1)
        if not all(torch.equal(normalise(a.permute(1, 2, 0).numpy()), b) for a, b in zip(shown, expected, strict=True)):
            raise DataError(
                "images are not those of the published pipeline",
                found=frame.meta.token,
                expected="equal bits",
                fix="check the versions of Pillow and simplejpeg; tests/datasets/test_bicubic.py says which differs",
            )


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of tools/analysis_tools/benchmark_loader.py."""
    parser = argparse.ArgumentParser(description="Measure how fast samples are loaded, beside the published pipeline")
    parser.add_argument("config")
    parser.add_argument("--samples", type=int, default=64, help="measured samples of training and of test")
    parser.add_argument("--root", type=Path, help="data set folder instead of that of the config")
    parser.add_argument("--cfg-options", nargs="+", action=DictAction, metavar="KEY=VALUE", help="override keys")
    parser.add_argument("--out", type=Path, help="also write the JSON to a file")
    options = parser.parse_args(arguments)
    return guard(lambda: _run(options))


def _run(options: argparse.Namespace) -> None:
    cfg = load_config(options.config, options.cfg_options)
    text = json.dumps(loader_benchmark(cfg, samples=options.samples, root=options.root), indent=2) + "\n"
    sys.stdout.write(text)
    if options.out is not None:
        options.out.write_text(text)
