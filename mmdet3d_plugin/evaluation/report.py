"""Result files and tables: every number together with its protocol and the counts that it was made of."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import math
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import EvaluationError
from .protocol import SYNTHETIC_WARNING, Protocol
from .scores import ClassScore
from .state import EvaluationState

FORMAT = "occstudio-result-1"
_WIDTH = 120


@dataclass(frozen=True)
class Result:
    """A result file.

    Attributes:
        protocol: conditions of the numbers.
        metrics: fractions (errors in their unit) by name; NaN where nothing was scored.
        classes: per-class scores by metric.
        counts: the raw counts, from which every number can be computed again.
        faults: sample token -> what could not be read of it; such samples were scored without, or not at all.
    """

    protocol: Protocol
    metrics: dict[str, float]
    classes: dict[str, list[ClassScore]]
    counts: dict[str, np.ndarray]
    faults: dict[str, str] = dataclasses.field(default_factory=dict)


def make_result(state: EvaluationState, protocol: Protocol, faults: dict[str, str] | None = None) -> Result:
    """Compute all numbers of a finished evaluation."""
    return Result(protocol, state.compute(), state.class_table(), state.counts, faults or {})


def write_result(path: str | Path, result: Result) -> None:
    """Write `result.json` in full precision (NaN as null); a reader sees the whole file or none.

    Raises:
        EvaluationError: the file cannot be written.
    """
    path = Path(path)
    content = {
        "format": FORMAT,
        **({"warning": SYNTHETIC_WARNING} if result.protocol.synthetic else {}),
        "protocol": result.protocol.to_dict(),
        **({"faults": result.faults} if result.faults else {}),
        "metrics": {name: _to_json(value) for name, value in result.metrics.items()},
        "classes": {
            metric: [{**dataclasses.asdict(s), "value": _to_json(s.value)} for s in scores]
            for metric, scores in result.classes.items()
        },
        "counts": {
            name: {"dtype": str(value.dtype), "shape": value.shape, "values": _flat_json(value)}
            for name, value in result.counts.items()
        },
    }
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n")
        os.replace(temporary, path)
    except OSError as error:
        raise EvaluationError(f"result file {path} cannot be written", found=error.strerror or error) from error
    finally:
        temporary.unlink(missing_ok=True)


def read_result(path: str | Path) -> Result:
    """Read a result file.

    Raises:
        EvaluationError: the file is missing, cut off, or of another format.
    """
    path = Path(path)
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise EvaluationError(f"result file {path} cannot be read", found=error) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        found = content.get("format") if isinstance(content, dict) else type(content).__name__
        raise EvaluationError(f"{path} is not a result file", found=found, expected=FORMAT)
    classes = {
        metric: [ClassScore(**{**row, "value": _from_json(row["value"])}) for row in rows]
        for metric, rows in content["classes"].items()
    }
    counts = {
        name: np.array([_from_json(v) for v in entry["values"]], entry["dtype"]).reshape(entry["shape"])
        for name, entry in content["counts"].items()
    }
    metrics = {name: _from_json(value) for name, value in content["metrics"].items()}
    return Result(Protocol.from_dict(content["protocol"]), metrics, classes, counts, content.get("faults", {}))


def format_result(result: Result) -> str:
    """Tables for the console in percent: metrics, then classes with their status. Uses rich if installed."""
    title = result.protocol.title()
    if result.faults:
        first = next(iter(result.faults))
        title += f"\n{len(result.faults)} samples lacked files, first {first}: see `faults` in the result file"
    metrics = [[name, with_unit(name, value)] for name, value in result.metrics.items()]
    names = list(result.classes)
    order = {s.name: None for scores in result.classes.values() for s in scores}
    by_class = {metric: {s.name: s for s in scores} for metric, scores in result.classes.items()}
    rows = [[name, *(class_cell(by_class[metric].get(name)) for metric in names)] for name in order]
    return format_table(title, ["metric", "value"], metrics) + format_table("IoU by class, %", ["class", *names], rows)


def format_table(title: str, header: list[str], rows: list[list[str]]) -> str:
    """A table for the console, the first column left and the others right aligned. Uses rich if installed."""
    if importlib.util.find_spec("rich") is None:
        widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
        lines = [
            " | ".join(cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths)))
            for row in [header, *rows]
        ]
        lines.insert(1, "-+-".join("-" * w for w in widths))
        return "\n".join([title, *lines, ""])
    from rich.console import Console
    from rich.table import Table

    table = Table(show_edge=False)
    for index, name in enumerate(header):
        table.add_column(name, justify="left" if index == 0 else "right")
    for row in rows:
        table.add_row(*row)
    console = Console(width=_WIDTH, no_color=True)
    with console.capture() as capture:
        console.print(table)
    return f"{title}\n{capture.get()}"


def class_cell(score: ClassScore | None) -> str:
    """A class score in percent with its status; empty without a score."""
    if score is None:
        return ""
    if score.status == "absent_in_both":
        return "absent"
    mark = {"ok": "", "absent_in_truth": " (no truth)", "absent_in_prediction": " (missed)"}[score.status]
    return f"{100 * score.value:.2f}{mark}"


def with_unit(name: str, value: float) -> str:
    """A metric in its unit, percent or m/s."""
    if math.isnan(value):
        return "nothing scored"
    return f"{value:.3f} m/s" if "AVE" in name else f"{100 * value:.2f} %"


def _to_json(value: float) -> float | None:
    return None if math.isnan(value) else value


def _flat_json(value: np.ndarray) -> list:
    flat = value.ravel().tolist()
    return [_to_json(v) for v in flat] if value.dtype.kind == "f" else flat


def _from_json(value: float | None) -> float:
    return math.nan if value is None else value
