"""What the comparison of one config gave, as a file: the raw material of docs/parity.md."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..config import load_config
from ..errors import DataError, EvaluationError, OccStudioError
from ..structures import TemporalState
from ..version import __version__
from .forward import Comparison, compare_forward
from .losses import compare_losses
from .members import figures_of
from .model import build_parity_model, find_config, read_golden
from .recipe import Inputs

TRIAL_FRAMES = 2  # of a config without golden figures


@dataclass(frozen=True)
class ParityResult:
    """One config against the published model.

    Attributes:
        config: its name.
        figures: the config whose forward passes were measured, see `figures_of`; None: the model was only loaded and
            run.
        seed: of the golden figures, or of the weights of the trial.
        made_with: versions, device and threads.
        forward: every stage of every frame.
        losses: losses and gradients.
        trial: of a config without figures: frames run, and share of the most frequent label in the last one.
        error: why the comparison ended early, None if it did not.
    """

    config: str
    figures: str | None
    seed: int
    made_with: dict[str, Any]
    forward: tuple[Comparison, ...] = ()
    losses: tuple[Comparison, ...] = ()
    trial: dict[str, Any] | None = None
    error: str | None = None

    @property
    def passed(self) -> bool:
        """Whether something was compared or tried, and nothing went wrong."""
        compared = (*self.forward, *self.losses)
        tried = bool(self.forward) if self.figures is not None else self.trial is not None
        return self.error is None and tried and all(comparison.passed for comparison in compared)

    def write(self, folder: Path) -> None:
        """Write FOLDER/CONFIG.json."""
        folder.mkdir(parents=True, exist_ok=True)
        entries = {name: json.dumps(value) for name, value in asdict(self).items()}
        for name in ("forward", "losses"):  # a row a line
            rows = ",\n  ".join(map(json.dumps, _rows(getattr(self, name))))
            entries[name] = f"[\n  {rows}\n ]" if rows else "[]"
        lines = ",\n ".join(f"{json.dumps(name)}: {value}" for name, value in entries.items())
        (folder / f"{self.config}.json").write_text(f"{{\n {lines}\n}}\n")

    @classmethod
    def read(cls, path: Path) -> ParityResult:
        """Inverse of :meth:`write`.

        Raises:
            DataError: the file cannot be read or is none of these.
        """
        try:
            content = json.loads(path.read_text())
            rows = {name: tuple(Comparison(*row) for row in content.pop(name)) for name in ("forward", "losses")}
            return cls(**content, **rows)
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise DataError(f"{path} is no result of a comparison", found=error, fix="make parity") from error


def _rows(comparisons: Iterable[Comparison]) -> list[list[Any]]:
    """Frame, stage, worst, mean and gate of each, with the digits that are reproducible."""
    return [[c.frame, c.stage, *(_rounded(value) for value in (c.worst, c.mean, c.gate))] for c in comparisons]


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.2g}")


@dataclass
class Recorder:
    """Collects what a comparison yields, so that an error in the middle does not lose it."""

    stem: str
    golden: Path
    device: str = "cpu"
    forward: list[Comparison] = field(default_factory=list)
    losses: list[Comparison] = field(default_factory=list)

    def run(self) -> ParityResult:
        """Compare forward passes and losses where there are figures; load and run the model where there are none."""
        figures, trial, error = None, None, None
        seed = 0
        try:
            figures = figures_of(self.stem, self.golden)
            if figures is None:
                trial = try_out(self.stem, self.golden, seed, self.device)
            else:
                seed = read_golden(self.golden / "forward" / f"{figures}.json")["seed"]
                self.forward.extend(compare_forward(self.stem, self.golden, self.device))
            if (self.golden / "losses" / f"{self.stem}.json").is_file():
                self.losses.extend(compare_losses(self.stem, self.golden, self.device))
        except OccStudioError as problem:
            error = str(problem)
        result = ParityResult(self.stem, figures, seed, made_with(self.device), trial=trial, error=error)
        return replace(result, forward=tuple(self.forward), losses=tuple(self.losses))


def made_with(device: str) -> dict[str, Any]:
    """Versions and threads of this process; nothing that names the machine."""
    return {
        "occstudio": __version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "device": device,
        "threads": torch.get_num_threads(),
    }


def try_out(stem: str, golden: Path, seed: int, device: str = "cpu") -> dict[str, Any]:
    """Load the weights of the recipe strictly into the model of a config and run a few frames.

    Raises:
        EvaluationError: a logit is not finite.
    """
    inputs = Inputs.of_config(load_config(find_config(stem)), seed)
    model = build_parity_model(stem, golden, seed).to(device)
    state, labels = TemporalState(), None
    for t in range(TRIAL_FRAMES):
        with torch.inference_mode():
            output, state = model.network(inputs.frame(t).to(device), state)
            if not torch.isfinite(output.prediction.logits).all():
                raise EvaluationError(f"{stem} predicts logits that are not finite", found=f"frame {t}")
            labels = model.network.head.decode(output.prediction).occupancy
    counts = torch.bincount(labels.flatten().int())
    return {"frames": TRIAL_FRAMES, "most_frequent": round(float(counts.max() / counts.sum()), 3)}
