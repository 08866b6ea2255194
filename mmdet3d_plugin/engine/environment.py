"""What a run was run with."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

from ..version import __version__

_ROOT = Path(__file__).resolve().parents[2]
_LIBRARIES = ("torch", "onedl-mmengine", "numpy", "scipy", "opencv-python-headless", "numba", "triton")


def git_hash() -> str | None:
    """Commit of the source tree, with `-dirty` where tracked files differ from it; None outside of a git
    checkout.
    """

    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(["git", *arguments], cwd=_ROOT, capture_output=True, text=True, check=True)
        except (OSError, subprocess.CalledProcessError):
            return None
        return done.stdout.strip()

    commit = git("rev-parse", "HEAD")
    if commit is None:
        return None
    return f"{commit}-dirty" if git("status", "--porcelain", "--untracked-files=no") else commit


def library_versions() -> dict[str, str | None]:
    """Installed versions of what OccStudio builds on; None for what is not installed."""
    versions: dict[str, str | None] = {}
    for name in _LIBRARIES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = None
    return versions


def devices() -> list[str]:
    """Names of the devices that PyTorch can use, the CPU last."""
    name = platform.processor() or platform.machine()
    cpu = f"cpu: {name}, {os.cpu_count()} cores, {torch.get_num_threads()} threads"
    return [f"cuda:{i}: {torch.cuda.get_device_name(i)}" for i in range(torch.cuda.device_count())] + [cpu]


def describe_environment() -> dict[str, Any]:
    """Versions, devices, source and command of this process."""
    return {
        "occstudio": __version__,
        "git": git_hash(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "libraries": library_versions(),
        "cuda": torch.version.cuda,
        "devices": devices(),
        "command": sys.argv,
    }


def write_environment(folder: Path) -> None:
    """Write :func:`describe_environment` to `folder/environment.json`."""
    (folder / "environment.json").write_text(json.dumps(describe_environment(), indent=2) + "\n")
