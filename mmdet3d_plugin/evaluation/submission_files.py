"""What the formats of submissions share: files that appear whole, and samples that are all there, each once."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TypeVar

from ..errors import EvaluationError

_LISTED = 5  # samples named in an error
Content = TypeVar("Content")


@contextmanager
def replaced(path: Path) -> Iterator[BinaryIO]:
    """A stream that takes the place of a file when the block ends without an error, and vanishes otherwise.

    Raises:
        EvaluationError: the file cannot be written; said before the block where that is known.
    """
    if path.is_dir():
        raise EvaluationError(f"submission {path} cannot be written", found="a folder", expected="the name of a file")
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("wb") as stream:
                yield stream
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise EvaluationError(
            f"submission {path} cannot be written",
            found=error.strerror or error,
            fix="free disk space or choose another folder; a file that was there is unchanged",
        ) from error


def ascending(frames: Iterable[tuple[str, Content]]) -> Iterator[tuple[str, Content]]:
    """Pass samples on by token, so that equal submissions are equal bytes.

    Raises:
        EvaluationError: a sample comes twice or out of order.
    """
    last = ""
    for token, content in frames:
        if token <= last:
            raise EvaluationError(
                f"sample {token} comes twice" if token == last else f"sample {token} comes after sample {last}",
                expected="every sample once, in ascending order of tokens",
            )
        yield token, content
        last = token


def check_tokens(what: str, found: Iterable[object], expected: Collection[str]) -> None:
    """Require every expected sample once and no other.

    Args:
        what: holder of the samples, for the message.
        found: tokens in it.
        expected: tokens of the split.

    Raises:
        EvaluationError: naming up to five samples that are missing, or else repeated, or else unknown.
    """
    times = Counter(token if isinstance(token, str) else f"{token!r} ({type(token).__name__})" for token in found)
    problems = (
        ("lacks samples", set(expected) - set(times), "predict them, or name the split that was predicted"),
        ("holds samples twice", {token for token, count in times.items() if count > 1}, "remove one of the two"),
        ("holds unknown samples", set(times) - set(expected), "remove them, or name the split that was predicted"),
    )
    for problem, tokens, fix in problems:
        if tokens:
            raise EvaluationError(
                f"{what} {problem}",
                found=f"{len(tokens)}: {', '.join(sorted(tokens)[:_LISTED])}",
                expected=f"each of {len(expected)} samples once",
                fix=fix,
            )
