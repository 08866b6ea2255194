"""`occstudio doctor`: what this installation can do, and whether the demo can run."""

from __future__ import annotations

import importlib.util
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from ..ops import describe_backends
from .environment import describe_environment

_DEMO_NEEDS = ("torch", "mmengine", "numpy", "scipy", "cv2", "numba", "rich")
_DEMO_GIGABYTES = 2.0


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Attributes:
        topic: what was looked at.
        text: what was found.
        ok: False if the demo cannot run because of it.
    """

    topic: str
    text: str
    ok: bool = True


def examine(folder: Path) -> list[Finding]:
    """Look at libraries, devices, data and permissions.

    Args:
        folder: where `data` and `work_dirs` are expected, normally the working directory.
    """
    environment = describe_environment()
    findings = [
        Finding("occstudio", f"{environment['occstudio']} ({environment['git'] or 'not a git checkout'})"),
        Finding("python", f"{environment['python']} on {environment['platform']}"),
    ]
    findings += [
        Finding("library", f"{name} {version or 'not installed'}") for name, version in environment["libraries"].items()
    ]
    missing = [name for name in _DEMO_NEEDS if importlib.util.find_spec(name) is None]
    if missing:
        findings.append(Finding("library", f"missing: {', '.join(missing)} (pip install -e .)", ok=False))
    findings += [Finding("device", name) for name in environment["devices"]]
    findings += [Finding("ops", f"{device}: {backend}") for device, backend in describe_backends().items()]
    findings += _data(folder / "data")
    findings += [_writable(folder / name) for name in ("data", "work_dirs")]
    free = shutil.disk_usage(folder).free / 1e9
    findings.append(
        Finding("disk", f"{free:.1f} GB free, the demo needs {_DEMO_GIGABYTES:g} GB", ok=free >= _DEMO_GIGABYTES)
    )
    return findings


def _data(folder: Path) -> list[Finding]:
    """Data sets below a folder: every folder with nuScenes tables, and its label folders."""
    found = []
    for root in sorted(p for p in folder.glob("*") if p.is_dir()):
        versions = sorted(table.parent.name for table in root.glob("*/sample.json"))
        others = sorted(p.name for p in root.iterdir() if p.is_dir() and p.name not in versions)
        if versions:
            found.append(Finding("data", f"{root}: {', '.join(versions)}; with {', '.join(others)}"))
    return found or [Finding("data", f"no data set below {folder}; the demo makes its own")]


def _writable(folder: Path) -> Finding:
    existing = next(p for p in (folder, *folder.absolute().parents) if p.is_dir())
    try:
        with tempfile.TemporaryFile(dir=existing):
            return Finding("write", f"{folder} can be written")
    except OSError as error:
        return Finding("write", f"{folder} cannot be written: {error.strerror}", ok=False)
