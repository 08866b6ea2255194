"""What the examination of a data set writes down."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ...errors import OccStudioError

Status = Literal["ok", "note", "PROBLEM"]


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Attributes:
        topic: what was looked at.
        text: what was found; several lines where a remedy or scores belong to it.
        status: "ok"; "note" for what is not there and not asked for, or could not be judged; "PROBLEM" makes the
            exit status 1.
    """

    topic: str
    text: str
    status: Status = "ok"


def problem(topic: str, what: str, fix: str) -> Finding:
    """A finding that something is wrong, with the way out, worded like `OccStudioError`."""
    return Finding(topic, f"{what}\n  do this:  {fix}", "PROBLEM")


def collect(topic: str, check: Callable[..., Iterable[Finding]], *arguments: Any) -> list[Finding]:
    """Findings of a check; what it cannot read ends this check as a finding, and not the examination.

    Args:
        topic: topic of that finding.
        check: yields findings; those before the error are kept.
        arguments: of the check.
    """
    findings: list[Finding] = []
    try:
        findings.extend(check(*arguments))
    except OccStudioError as error:
        findings.append(Finding(topic, str(error), "PROBLEM"))
    except OSError as error:
        findings.append(problem(topic, f"{error.filename}: {error.strerror}", "check the permissions and the disk"))
    return findings


def missing_files(paths: Sequence[Path]) -> list[Path]:
    """Those of some files that do not exist. Every folder is listed once, which is quick on network disks too.

    Raises:
        OSError: a folder cannot be listed.
    """
    listed: dict[Path, set[str]] = {}
    for folder in {path.parent for path in paths}:
        listed[folder] = set(os.listdir(folder)) if folder.is_dir() else set()
    return [path for path in paths if path.name not in listed[path.parent]]
