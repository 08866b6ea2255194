"""Errors that a user meets at the door: what is wrong, the value found, the value expected, the way out."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class OccStudioError(Exception):
    """Base of every error that the command line reports as a message instead of a traceback.

    Args:
        what: the thing that is wrong, named (a path, a config key, a token).
        found: the value met, if it helps.
        expected: what would have been right.
        fix: what the user can do now.
    """

    def __init__(self, what: str, *, found: object = None, expected: object = None, fix: str | None = None):
        lines = [what]
        if found is not None:
            lines.append(f"  found:    {found}")
        if expected is not None:
            lines.append(f"  expected: {expected}")
        if fix is not None:
            lines.append(f"  do this:  {fix}")
        super().__init__("\n".join(lines))


class ConfigError(OccStudioError):
    """A config names something that does not exist or does not fit."""


class DataError(OccStudioError):
    """A file of a data set is missing, unreadable or not what its format says."""


class CheckpointError(OccStudioError):
    """A checkpoint cannot be read or belongs to another model."""


class StreamError(OccStudioError):
    """Frames of a stream do not follow each other, or what is remembered of it does not fit."""


class EvaluationError(OccStudioError):
    """Predictions and ground truth cannot be scored against each other as they are."""


def closest(name: str, candidates: Iterable[str]) -> str:
    """A hint that names the candidates nearest to a misspelt name, or all of them when none is near."""
    names = sorted(candidates)
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    return f"did you mean {' or '.join(map(repr, near))}?" if near else f"one of {', '.join(names)}"
