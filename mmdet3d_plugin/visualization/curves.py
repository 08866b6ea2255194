"""Training logs to loss curves."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np

from ..errors import DataError
from .views import LossCurve

_LOGS = (
    "log.jsonl",
    "vis_data/scalars.json",
    "*/vis_data/scalars.json",
)  # ours; mmengine's in its run folders
_POSITIONS = ("samples", "step", "iter")


def read_loss_curve(path: str | Path) -> LossCurve:
    """Read the losses of a training.

    Args:
        path: a log with one JSON object per line, or the folder of a run that holds `log.jsonl` or mmengine's
            `vis_data/scalars.json` (the newest). An object counts when it has `samples`, `step` or `iter` and
            at least one number whose name contains "loss", and when it is not of a validation. Of records at
            the
            same position the last one counts: a resumed run repeats some.

    Raises:
        DataError: there is no such file, a line is no JSON object, or no line holds a loss. A last line
            without its end is what a killed run leaves, and is ignored.
    """
    file = _find_log(Path(path))
    records: dict[float, dict[str, float]] = {}
    unit = None
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(keepends=True), start=1):
        record = _parse(file, number, line)
        losses = {name: float(v) for name, v in record.items() if "loss" in name and isinstance(v, (int, float))}
        key = next((name for name in _POSITIONS if name in record), None)
        if key is None or not losses or record.get("mode", "train") != "train":
            continue
        unit = unit or key
        if key == unit:
            records[float(record[key])] = losses
    if unit is None:
        raise DataError(f"training log {file} holds no losses", expected=f"objects with {_POSITIONS} and a loss")
    order = sorted(records)
    names = dict.fromkeys(name for position in order for name in records[position])
    values = {name: np.array([records[p].get(name, math.nan) for p in order]) for name in names}
    return LossCurve(np.array(order), values, "samples" if unit == "samples" else "step")


def _find_log(path: Path) -> Path:
    if path.is_file():
        return path
    for pattern in _LOGS:
        found = sorted(path.glob(pattern), key=lambda p: p.stat().st_mtime)
        if found:
            return found[-1]
    raise DataError(f"no training log at {path}", expected=f"a file, or a folder with {' or '.join(_LOGS)}")


def _parse(file: Path, number: int, line: str) -> dict:
    try:
        record = json.loads(line) if line.strip() else {}
    except ValueError as error:
        if not line.endswith("\n"):
            return {}
        raise DataError(f"line {number} of {file} is no JSON", found=line.strip()[:80]) from error
    if not isinstance(record, dict):
        raise DataError(f"line {number} of {file} is no JSON object", found=line.strip()[:80])
    return record
