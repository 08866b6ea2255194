"""Outcome of a proof, as a file."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from ..errors import EvaluationError

SUFFIX = ".verdict.json"


@dataclasses.dataclass(frozen=True)
class Verdict:
    """Outcome of a proof.

    Attributes:
        name: of the proof.
        claim: what was to be shown.
        found: the numbers.
        holds: whether the claim was met.
    """

    name: str
    claim: str
    found: str
    holds: bool

    def line(self) -> str:
        """All of it in a sentence."""
        return f"{self.name} {'holds' if self.holds else 'FAILS'}: {self.claim}: {self.found}"


def write_verdict(verdict: Verdict, folder: Path) -> None:
    """Write `<name>.verdict.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(dataclasses.asdict(verdict), indent=2)
    (folder / f"{verdict.name}{SUFFIX}").write_text(f"{text}\n", encoding="utf-8")


def read_verdict(path: Path) -> Verdict:
    """Read such a file.

    Raises:
        EvaluationError: it is no verdict.
    """
    try:
        return Verdict(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise EvaluationError(
            f"{path} is no verdict of a proof", found=error, fix="add the file that `occstudio prove` writes"
        ) from error
