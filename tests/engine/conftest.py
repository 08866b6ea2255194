"""Trainings of the toy model, in forked processes that may be killed."""

from __future__ import annotations

import multiprocessing
import os
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

import engine_toy
import pytest
import torch
import torch._dynamo  # optimisers import it: once here instead of once per child
import torch.utils.tensorboard

from mmdet3d_plugin.cli import guard
from mmdet3d_plugin.config import load_config
from mmdet3d_plugin.engine import train

torch.set_num_threads(1)


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    path = tmp_path / "toy.py"
    path.write_text(engine_toy.CONFIG)
    return path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return probe.getsockname()[1]


def _child(function: Callable[[str], object], rank: int, processes: int, port: int, log: Path) -> None:
    sys.stdout = sys.stderr = log.open("w", buffering=1)
    os.environ.update(
        RANK=str(rank),
        LOCAL_RANK=str(rank),
        WORLD_SIZE=str(processes),
        MASTER_ADDR="localhost",
        MASTER_PORT=str(port),
    )
    status = guard(lambda: function("none" if processes == 1 else "pytorch"))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def run_processes(function: Callable[[str], object], processes: int, folder: Path) -> tuple[list[int], str]:
    """Run `function(launcher)` in forked processes; exit statuses and output of process 0."""
    context = multiprocessing.get_context("fork")
    port = free_port()
    logs = [folder / f"process_{rank}.log" for rank in range(processes)]
    children = [
        context.Process(target=_child, args=(function, rank, processes, port, logs[rank])) for rank in range(processes)
    ]
    for child in children:
        child.start()
    deadline = time.monotonic() + 60
    while any(child.is_alive() for child in children) and time.monotonic() < deadline:
        if any(child.exitcode not in (None, 0) for child in children):
            deadline = min(deadline, time.monotonic() + 1)  # what torchrun does: one failed, end the others
        time.sleep(0.02)  # `join` would also wait for the loader processes of a killed child
    for child in children:
        if child.is_alive():
            child.kill()
            child.join()
    return [child.exitcode for child in children], logs[0].read_text()


@pytest.fixture
def training(config_file: Path, tmp_path: Path) -> Callable[..., tuple[list[int], str]]:
    """Train in child processes; options of the config are keyword arguments with `__` for dots."""

    def start(
        work_dir: str,
        processes: int = 1,
        resume: bool = False,
        amp: bool = False,
        hooks: dict | None = None,
        **options: object,
    ) -> tuple[list[int], str]:
        dotted = {key.replace("__", "."): value for key, value in options.items()}
        cfg = load_config(config_file, dotted)
        cfg.hooks.update(hooks or {})
        return run_processes(
            lambda launcher: train(cfg, tmp_path / work_dir, resume=resume, amp=amp, launcher=launcher) and None,
            processes,
            tmp_path,
        )

    return start
