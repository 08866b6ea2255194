"""Results side by side: in one table only where their protocols allow it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..errors import EvaluationError
from .protocol import DESCRIBING
from .report import Result, class_cell, format_table, read_result, with_unit


def compare_files(paths: Sequence[str | Path], *, anyway: bool = False) -> str:
    """Print result files side by side.

    Args:
        paths: result files; their paths head the columns.
        anyway: where protocols differ, make one block for each protocol.

    Returns:
        Text for the console: metrics, then classes; values as `format_result` prints them.

    Raises:
        EvaluationError: a file is given twice or cannot be read, or protocols differ and `anyway` is not set.
    """
    repeated = {str(path) for path in paths if list(paths).count(path) > 1}
    if repeated:
        raise EvaluationError("a result file is given twice", found=", ".join(sorted(repeated)))
    blocks = _by_protocol({str(path): read_result(path) for path in paths})
    if len(blocks) > 1 and not anyway:
        raise EvaluationError(
            "these numbers must not be compared: their protocols differ",
            found=_differences(blocks),
            fix="compare results of one protocol, or see them apart with --anyway",
        )
    return "\n".join(_block(block) for block in blocks)


def _by_protocol(results: dict[str, Result]) -> list[dict[str, Result]]:
    blocks: list[dict[str, Result]] = []
    for name, result in results.items():
        for block in blocks:
            if not next(iter(block.values())).protocol.differences(result.protocol):
                block[name] = result
                break
        else:
            blocks.append({name: result})
    return blocks


def _differences(blocks: Sequence[dict[str, Result]]) -> str:
    """What differs between the first block and every other one, a line each."""
    first, reference = next(iter(blocks[0].items()))
    lines = []
    for block in blocks[1:]:
        name, other = next(iter(block.items()))
        for field, (mine, theirs) in reference.protocol.differences(other.protocol).items():
            lines.append(f"{field}: {mine!r} in {first}, {theirs!r} in {name}")
    return "\n            ".join(lines)


def _block(results: dict[str, Result]) -> str:
    """Two tables of results that share a protocol."""
    names = list(results)
    metrics = dict.fromkeys(metric for result in results.values() for metric in result.metrics)
    rows = [
        [metric, *(with_unit(metric, r.metrics[metric]) if metric in r.metrics else "" for r in results.values())]
        for metric in metrics
    ]
    described = [[field, *(str(getattr(r.protocol, field)) for r in results.values())] for field in DESCRIBING]
    title = next(iter(results.values())).protocol.title(with_profile=False)
    return format_table(title, ["metric", *names], [*described, *rows]) + _classes(results)


def _classes(results: dict[str, Result]) -> str:
    text = ""
    for metric in dict.fromkeys(m for result in results.values() for m in result.classes):
        scores = [{s.name: s for s in result.classes.get(metric, [])} for result in results.values()]
        order = dict.fromkeys(name for by_name in scores for name in by_name)
        rows = [[name, *(class_cell(by_name.get(name)) for by_name in scores)] for name in order]
        text += format_table(f"{metric} by class, %", ["class", *results], rows)
    return text
