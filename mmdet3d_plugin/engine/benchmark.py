"""How fast a model is: frames per second, latencies, the share of every stage, memory."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config

from ..apis import build_model, load_checkpoint
from ..cli import guard
from ..config import load_config
from ..datasets.samplers import SceneShardSampler
from ..errors import DataError
from ..models.occupancy_model import OccupancyModel
from ..structures import OccBatch, OccLabels
from .environment import describe_environment
from .example import example_stream, image_shape
from .hooks.training_log import peak_memory_mib
from .loaders import build_dataset, build_loader, checked


def benchmark(
    cfg: Config,
    checkpoint: str | Path | None = None,
    *,
    frames: int = 50,
    warm_up: int = 10,
    amp: bool = False,
    device: str | None = None,
) -> dict[str, Any]:
    """Measure a model that streams one sequence, batch size 1.

    Args:
        cfg: a config.
        checkpoint: weights; random ones if None (speed does not depend on them).
        frames: measured frames.
        warm_up: frames before them, which also fill the history.
        amp: run the network in bfloat16.
        device: the GPU if there is one when None.

    Returns:
        what was measured, plain values for JSON. Times are milliseconds.
    """
    where = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    model = build_model(cfg)
    if checkpoint is not None:
        load_checkpoint(model, checkpoint)
    model.to(where).eval()
    if where.type == "cuda":
        torch.cuda.reset_peak_memory_stats(where)
    shape = image_shape(cfg)
    stream = example_stream(cfg, shape, where)
    first = next(stream)

    def play(count: int) -> list[float]:
        """Latencies of the next `count` frames of a stream that never restarts."""
        return [timed(model, OccBatch((next(stream),)), where)[0] for _ in range(count)]

    with torch.inference_mode(), torch.autocast(where.type, torch.bfloat16, enabled=amp):
        model(OccBatch((first,)), mode="predict")
        play(max(warm_up - 1, 0))
        latencies = play(frames)
        with _stage_clock(model, where) as stages:
            play(min(frames, 10))
        loading = _with_loading(cfg, model, frames, warm_up)
    environment = describe_environment()
    return {
        "config": Path(cfg.filename).name,
        "checkpoint": None if checkpoint is None else str(checkpoint),
        "device": environment["devices"][0] if where.type == "cuda" else environment["devices"][-1],
        "dtype": "bfloat16 autocast" if amp else "float32",
        "torch": environment["libraries"]["torch"],
        "git": environment["git"],
        "batch_size": 1,
        "images": [first.images.shape[1], *shape],
        "warm_up": warm_up,
        "frames": frames,
        "without_loading": _summary(latencies),
        "with_loading": loading,
        "stages_ms": {name: float(np.mean(times)) * 1e3 for name, times in stages.items()},
        "peak_memory_mib": peak_memory_mib(),
    }


def timed(model: OccupancyModel, batch: OccBatch, device: torch.device) -> tuple[float, OccLabels]:
    """Seconds that one frame takes, and its labels on the device."""
    started = time.perf_counter()
    labels = model(batch, mode="predict")
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - started, labels


def _summary(seconds: Sequence[float]) -> dict[str, float]:
    p50, p95 = np.percentile(seconds, [50, 95]) * 1e3
    return {"fps": len(seconds) / sum(seconds), "p50_ms": float(p50), "p95_ms": float(p95)}


@contextmanager
def _stage_clock(model: OccupancyModel, device: torch.device) -> Iterator[dict[str, list[float]]]:
    """Times of the stages while the context is open; waiting for the GPU after each stage costs overlap."""
    times: dict[str, list[float]] = {}
    started: dict[str, float] = {}

    def now() -> float:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter()

    handles = []
    for name, stage in {"preprocessor": model.preprocessor, **dict(model.network.named_children())}.items():

        def before(module: object, inputs: object, name: str = name) -> None:
            started[name] = now()

        def after(module: object, inputs: object, output: object, name: str = name) -> None:
            times.setdefault(name, []).append(now() - started[name])

        handles += [stage.register_forward_pre_hook(before), stage.register_forward_hook(after)]
    try:
        yield times
    finally:
        for handle in handles:
            handle.remove()


def _with_loading(cfg: Config, model: OccupancyModel, frames: int, warm_up: int) -> dict[str, Any]:
    """Speed on the test set, images read from disk; says why if there is none."""
    try:
        dataset = build_dataset(cfg.test_dataloader)
    except DataError as error:
        return {"measured": False, "reason": str(error).splitlines()[0]}
    workers = cfg.test_dataloader.get("num_workers", 0)
    sampler = SceneShardSampler(dataset.sequences)
    count = min(warm_up + frames, len(sampler))
    ignored = min(warm_up, count // 2)
    model.reset_stream()
    seconds, last = [], time.perf_counter()
    for batch in checked(build_loader(dataset, sampler, workers), count):
        model.val_step(batch).occupancy.cpu()  # the labels arrive where they are used
        now = time.perf_counter()
        seconds.append(now - last)
        last = now
    return {"measured": True, "workers": workers, "frames": count - ignored, **_summary(seconds[ignored:])}


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of tools/analysis_tools/benchmark.py."""
    parser = argparse.ArgumentParser(description="Measure the speed of models; works on random weights without data")
    parser.add_argument("config", nargs="?", help="one config: prints JSON with the time of every stage")
    parser.add_argument("checkpoint", nargs="?")
    parser.add_argument("--table", nargs="+", metavar="CONFIG", help="several configs: prints a table (Markdown)")
    parser.add_argument("--all", action="store_true", help="a table of every published config")
    parser.add_argument("--golden", type=Path, help="folder of golden figures: use their weights in the table")
    parser.add_argument("--frames", type=int, default=50, help="measured frames")
    parser.add_argument("--warm-up", type=int, default=10, help="frames before them")
    parser.add_argument("--amp", action="store_true", help="run in bfloat16 (the table has both)")
    parser.add_argument("--device", help="for example cuda:1 or cpu")
    parser.add_argument("--out", type=Path, help="also write the JSON or the table to a file")
    options = parser.parse_args(arguments)
    if not (options.config or options.table or options.all):
        parser.error("name a config, or several with --table, or give --all")
    return guard(lambda: _run(options))


def _run(options: argparse.Namespace) -> int | None:
    if options.table or options.all:
        from .benchmark_table import write_table

        configs = options.table or []
        return write_table(configs, options.out, options.frames, options.warm_up, options.device, options.golden)
    result = benchmark(
        load_config(options.config),
        options.checkpoint,
        frames=options.frames,
        warm_up=options.warm_up,
        amp=options.amp,
        device=options.device,
    )
    text = json.dumps(result, indent=2) + "\n"
    sys.stdout.write(text)
    if options.out is not None:
        options.out.write_text(text)
    return None
