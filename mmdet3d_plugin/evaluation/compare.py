"""Results side by side: in one table only where their protocols allow it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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
    blocks = by_protocol({str(path): read_result(path) for path in paths})
    if len(blocks) > 1 and not anyway:
        raise EvaluationError(
            "these numbers must not be compared: their protocols differ",
            found=_differences(blocks),
            fix="compare results of one protocol, or see them apart with --anyway",
        )
    return "\n".join(_block(block) for block in blocks)


def by_protocol(results: Mapping[str, Result]) -> list[dict[str, Result]]:
    """Named results in blocks of equal protocols; blocks and names stay in the order given."""
    blocks: list[dict[str, Result]] = []
    for name, result in results.items():
        for block in blocks:
            if not next(iter(block.values())).protocol.differences(result.protocol):
                block[name] = result
                break
        else:
            blocks.append({name: result})
    return blocks


def metric_rows(results: Mapping[str, Result]) -> list[list[str]]:
    """Rows of a table with a column for each result: how the model came about, then every metric in its unit."""
    described = [[field, *(str(getattr(r.protocol, field)) for r in results.values())] for field in DESCRIBING]
    metrics = dict.fromkeys(metric for result in results.values() for metric in result.metrics)
    rows = [
        [metric, *(with_unit(metric, r.metrics[metric]) if metric in r.metrics else "" for r in results.values())]
        for metric in metrics
    ]
    return [*described, *rows]


def class_rows(results: Mapping[str, Result]) -> Iterator[tuple[str, list[list[str]]]]:
    """Every metric that has values by class, with the rows of its table: a class each, a column for each result."""
    for metric in dict.fromkeys(m for result in results.values() for m in result.classes):
        scores = [{s.name: s for s in result.classes.get(metric, [])} for result in results.values()]
        order = dict.fromkeys(name for by_name in scores for name in by_name)
        yield metric, [[name, *(class_cell(by_name.get(name)) for by_name in scores)] for name in order]


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
    """Tables of results that share a protocol."""
    title = next(iter(results.values())).protocol.title(with_profile=False)
    text = format_table(title, ["metric", *results], metric_rows(results))
    for metric, rows in class_rows(results):
        text += format_table(f"{metric} by class, %", ["class", *results], rows)
    return text
