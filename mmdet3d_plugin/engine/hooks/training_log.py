"""What a training says about itself: a console line, one JSON object per line in a file, TensorBoard."""

from __future__ import annotations

import json
import math
import resource
import sys
import time
from collections import deque
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.logging import MessageHub
from mmengine.runner import Runner
from torch import Tensor, distributed

from ...errors import OccStudioError
from ...registry import HOOKS
from ..distributed import local_device, rank, world_size

LOG_FILE = "log.jsonl"


@HOOKS.register_module()
class TrainingLog(Hook):
    """Logs the mean over `every` optimiser steps and over all processes.

    The file `WORK_DIR/log.jsonl` holds one object per record: `{"mode": "train", "samples": ..., "loss": ...,
    ...}` and `{"mode": "val", "samples": ..., metrics}`. A resumed run first drops the records that it is
    about to repeat.

    Args:
        every: optimiser steps per record.
    """

    priority = "LOW"

    def __init__(self, every: int = 50):
        self.every = every
        self._pending: list[dict[str, Tensor | float]] = []
        self._times: deque[tuple[float, float]] = deque(maxlen=200)  # seconds of (whole step, waiting for data)
        self._step_started = self._data_arrived = 0.0
        self._tensorboard: Any = None

    def before_train(self, runner: Runner) -> None:
        """Open the log; forget what the resumed run will write again."""
        if rank() == 0:
            _drop_records_after(Path(runner.work_dir) / LOG_FILE, runner.train_loop.samples_seen)
            self._tensorboard = _tensorboard_writer(runner)
        self._step_started = time.perf_counter()

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: object = None) -> None:
        """Note when the data arrived."""
        self._data_arrived = time.perf_counter()

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: object = None,
        outputs: dict[str, Tensor] | None = None,
    ) -> None:
        """Collect the step; write a record when one is due."""
        values: dict[str, Tensor | float] = {name: value.detach() for name, value in (outputs or {}).items()}
        norm = MessageHub.get_current_instance().log_scalars.get("train/grad_norm")
        if norm is not None:
            values["grad_norm"] = norm.current()
        self._pending.append(values)
        now = time.perf_counter()
        self._times.append((now - self._step_started, self._data_arrived - self._step_started))
        if len(self._pending) == self.every or batch_idx + 1 == runner.max_iters:
            self.flush(runner, (batch_idx + 1) * runner.train_loop.plan.global_batch)
        self._step_started = time.perf_counter()

    def flush(self, runner: Runner, samples: int) -> None:
        """Write the record of the steps since the last one, if there are any; by all processes together.

        Raises:
            OccStudioError: the loss is not finite any more.
        """
        if not self._pending:
            return
        means = _mean_over_steps_and_processes(self._pending)
        self._pending = []
        if not math.isfinite(means["loss"]):
            raise OccStudioError(
                f"the loss is {means['loss']} after {samples} samples",
                found=means,
                fix="resume from a checkpoint before it with a lower learning rate, or without --amp",
            )
        if rank() != 0:
            return
        step, data = (sum(t[i] for t in self._times) / len(self._times) for i in (0, 1))
        left = runner.max_iters - samples // runner.train_loop.plan.global_batch
        record = {
            **means,
            "lr": runner.optim_wrapper.optimizer.param_groups[0]["lr"],
            "step_time": step,
            "data_time": data,
            "memory_mib": peak_memory_mib(),
        }
        self._write(runner, "train", samples, record)
        parts = "  ".join(f"{name} {value:.4g}" for name, value in means.items())
        runner.logger.info(
            f"train {samples}/{runner.train_loop.plan.samples} samples  {parts}  lr {record['lr']:.3g}  "
            f"eta {timedelta(seconds=round(step * left))}  step {step:.3f} s  data {data:.3f} s  "
            f"memory {record['memory_mib']:.0f} MiB"
        )

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Write the metrics of a validation."""
        if rank() == 0 and metrics:
            self._write(runner, "val", runner.train_loop.samples_seen, metrics)
            shown = "  ".join(f"{name} {value:.4f}" for name, value in metrics.items())
            runner.logger.info(f"val {runner.train_loop.samples_seen} samples  {shown}")
        self._step_started = time.perf_counter()

    def after_train(self, runner: Runner) -> None:
        """Close TensorBoard's file."""
        if self._tensorboard is not None:
            self._tensorboard.close()

    def _write(self, runner: Runner, mode: str, samples: int, values: dict[str, float]) -> None:
        with open(Path(runner.work_dir) / LOG_FILE, "a", encoding="utf-8") as file:
            finite = {name: value if math.isfinite(value) else None for name, value in values.items()}
            file.write(json.dumps({"mode": mode, "samples": samples, **finite}) + "\n")
        if self._tensorboard is not None:
            for name, value in values.items():
                self._tensorboard.add_scalar(f"{mode}/{name}", value, samples)


def peak_memory_mib() -> float:
    """Peak memory of this process so far in MiB: allocated on the GPU, or resident where there is none."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**20
    unit = 1 if sys.platform == "darwin" else 1024  # the unit of ru_maxrss: bytes there, KiB elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def read_log(work_dir: str | Path) -> list[dict[str, Any]]:
    """The records of `log.jsonl`, oldest first; a last line that a killed run left unfinished is ignored."""
    path = Path(work_dir) / LOG_FILE
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


def _drop_records_after(path: Path, samples: int) -> None:
    """Keep training records up to `samples`, and validations before it: the one at `samples` is repeated."""
    kept = [
        record
        for record in read_log(path.parent)
        if record["samples"] < samples or (record["mode"] == "train" and record["samples"] == samples)
    ]
    temporary = path.with_suffix(".tmp")
    temporary.write_text("".join(json.dumps(record) + "\n" for record in kept), encoding="utf-8")
    temporary.replace(path)


def _mean_over_steps_and_processes(steps: list[dict[str, Tensor | float]]) -> dict[str, float]:
    names = list(steps[0])
    device = local_device()
    rows = [torch.stack([torch.as_tensor(step[n], device=device).double() for n in names]) for step in steps]
    means = torch.stack(rows).mean(dim=0)
    if world_size() > 1:
        distributed.all_reduce(means)
        means = means / world_size()
    return dict(zip(names, means.tolist()))


def _tensorboard_writer(runner: Runner) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        runner.logger.info("tensorboard is not installed: no TensorBoard files (pip install tensorboard)")
        return None
    return SummaryWriter(Path(runner.work_dir) / "tensorboard", purge_step=runner.train_loop.samples_seen + 1)
