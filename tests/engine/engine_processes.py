"""Forked processes of a test, as a launcher would start them."""

from __future__ import annotations

import multiprocessing
import os
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

from mmdet3d_plugin.cli import guard


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
