"""Worker processes for independent pieces of work."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager

from .errors import DataError


def available_cpus() -> int:
    """CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def process_pool(workers: int, doing: str) -> Iterator[ProcessPoolExecutor]:
    """Worker processes for commands that keep what is finished; Ctrl-C reaches only the parent, which ends them.

    Args:
        workers: number of processes.
        doing: what they do, for the message: "writes key frames".

    Raises:
        DataError: a process was killed.
    """
    fork = sys.platform == "linux"  # elsewhere forking is unsafe or impossible
    context = multiprocessing.get_context("fork" if fork else "spawn")
    with ProcessPoolExecutor(workers, context, _leave_interrupts_to_parent) as pool:
        try:
            yield pool
        except BrokenProcessPool as error:
            raise DataError(
                f"a process that {doing} was killed",
                found=str(error),
                fix="free memory or lower --workers, then run the same command again; what is finished is kept",
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


def _leave_interrupts_to_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
