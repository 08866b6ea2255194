"""Runs a file of kernel tests in a process of its own: Triton decides on its interpreter when it is imported."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def check_kernels(file: Path, device: str, **environment: str) -> None:
    """Run a test file, none of whose tests may fail or be skipped.

    Args:
        file: reads the device from `OCCSTUDIO_KERNEL_DEVICE`.
        device: "cpu" (with `TRITON_INTERPRET="1"`) or "cuda".
        environment: further variables.
    """
    inherited = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-x", "-p", "no:cacheprovider", str(file)],
        env=inherited | environment | {"OCCSTUDIO_KERNEL_DEVICE": device, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        cwd=file.parents[2],
    )
    assert result.returncode == 0, result.stdout[-5000:] + result.stderr[-2000:]
    assert " passed" in result.stdout
    assert "skipped" not in result.stdout
