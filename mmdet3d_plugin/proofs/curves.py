"""The first steps of every family's training as golden numbers: did a change alter what is learned?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from ..config import load_config
from ..engine.hooks.training_log import read_log
from ..engine.runner import train
from ..errors import DataError, EvaluationError
from .run import CONFIGS

CURVES = ("overfit_alocc", "overfit_aloccflow", "overfit_bevdetocc", "overfit_gdfusion")
STEPS = 20
OTHER_MACHINE = 0.1
"""Largest relative difference where processor or PyTorch differ."""
OTHER_STEPS = 10
"""So many steps are compared there: rounding grows from step to step, and soon outgrows any useful tolerance."""


def machine() -> dict[str, str]:
    """What the last bits of a training depend on besides the code."""
    return {"torch": torch.__version__.split("+")[0], "processor": torch.backends.cpu.get_cpu_capability()}


def record_curve(stem: str, world: Path, work_dir: Path, steps: int = STEPS) -> dict[str, Any]:
    """Train the first steps of a config on one CPU thread.

    Args:
        stem: name of a config in `configs/synthetic`.
        world: root of a synthetic world in the nuScenes layout, preset "tiny".
        work_dir: an empty folder for the training.
        steps: number of steps, one sample each.

    Returns:
        `machine`, and `losses`: name -> value at each step.
    """
    loaders = ("train_dataloader", "val_dataloader", "test_dataloader")
    options: dict[str, Any] = {f"{loader}.dataset.root": str(world) for loader in loaders}
    options |= {"train_cfg.samples": steps, "train_cfg.checkpoint_every": steps, "hooks.log.every": 1}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        train(load_config(CONFIGS / f"{stem}.py", options), work_dir)
    finally:
        torch.set_num_threads(threads)
    records = [record for record in read_log(work_dir) if record["mode"] == "train"]
    names = [name for name in records[0] if "loss" in name or name == "grad_norm"]
    return {"machine": machine(), "losses": {name: [record[name] for record in records] for name in names}}


def read_curve(path: Path) -> dict[str, Any]:
    """A golden curve.

    Raises:
        DataError: the file is missing.
    """
    if not path.is_file():
        raise DataError(f"no golden curve {path}", fix="record it: tools/analysis_tools/loss_curves.py --record")
    return json.loads(path.read_text())


def require_equal(stem: str, found: dict[str, Any], golden: dict[str, Any]) -> None:
    """Compare a curve with the beginning of a golden one: bit by bit where the machine is of the same kind, its first
    steps within a tolerance elsewhere.

    Raises:
        EvaluationError: they differ.
    """
    if found["losses"].keys() != golden["losses"].keys():
        raise EvaluationError(
            f"{stem} has other losses", found=sorted(found["losses"]), expected=sorted(golden["losses"])
        )
    same = found["machine"] == golden["machine"]
    tolerance, steps = (0.0, None) if same else (OTHER_MACHINE, OTHER_STEPS)
    for name, values in found["losses"].items():
        for step, (ours, theirs) in enumerate(zip(values[:steps], golden["losses"][name], strict=False)):
            if not abs(ours - theirs) <= tolerance * abs(theirs):
                raise EvaluationError(
                    f"{name} of {stem} at step {step} is not the golden one",
                    found=repr(ours),
                    expected=repr(theirs),
                    fix="a change of numbers that is meant is recorded with tools/analysis_tools/loss_curves.py",
                )
