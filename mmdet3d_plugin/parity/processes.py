"""Every config in a process of its own: its memory is given back, and its failure does not hide the others."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from .results import ParityResult, made_with

_MODULE = "mmdet3d_plugin.parity.cli"


def run_each(stems: Sequence[str], golden: Path, folder: Path, device: str, console: Console) -> bool:
    """Compare configs one after the other, write FOLDER/STEM.json for each, and print a line about it.

    Args:
        stems: names of published configs.
        golden: directory of the golden figures.
        folder: for the results; one of an earlier run is replaced.
        device: where to run.
        console: to print on.

    Returns:
        whether all passed.
    """
    passed = []
    width = max(map(len, stems))
    for number, stem in enumerate(stems, start=1):
        console.print(f"{f'[{number}/{len(stems)}]':>8} {stem:{width}}", end="  ", markup=False)
        started = time.monotonic()
        result = _run_one(stem, golden, folder, device)
        passed.append(result.passed)
        colour, verdict = ("green", "ok  ") if result.passed else ("red", "MISS")
        console.print(f"[{colour}]{verdict}[/] {time.monotonic() - started:6.0f} s  {summary(result)}")
    console.print(f"{sum(passed)} of {len(passed)} configs are computed as published")
    return all(passed)


def _run_one(stem: str, golden: Path, folder: Path, device: str) -> ParityResult:
    path = folder / f"{stem}.json"
    path.unlink(missing_ok=True)
    command = [sys.executable, "-m", _MODULE, str(golden), "--config", stem, "--out", str(folder), "--device", device]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    if path.is_file():
        return ParityResult.read(path)
    killed = f"killed by signal {-done.returncode}, perhaps for memory" if done.returncode < 0 else ""
    said = (done.stderr.strip().splitlines() or ["no message"])[-1]
    result = ParityResult(stem, None, 0, made_with(device), error=killed or f"status {done.returncode}: {said}")
    result.write(folder)
    return result


def summary(result: ParityResult) -> str:
    """The error, or the comparison that is nearest to its gate."""
    if result.error is not None:
        return result.error.splitlines()[0]
    if result.trial is not None:
        return f"no golden figures; loaded strictly, {result.trial['frames']} frames run"
    gated = [c for c in (*result.forward, *result.losses) if c.gate]
    nearest = max(gated, key=lambda c: c.worst / (c.gate or 1))
    return f"{len(gated)} comparisons; nearest to its gate: {nearest.stage} {nearest.worst:.1e} of {nearest.gate:.0e}"
