"""Running proofs: make the world, train, score, compare."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.logging import MMLogger

from ..config import load_config
from ..datasets.base import OccDataset
from ..datasets.collate import collate
from ..datasets.synthetic import create_world
from ..datasets.synthetic.presets import get_preset
from ..engine.loaders import build_dataset, build_evaluator
from ..engine.runner import train
from ..engine.scoring import score_checkpoint
from ..errors import ConfigError, EvaluationError, closest
from ..evaluation.predictions import SavedPrediction, read_prediction
from ..evaluation.report import Result
from ..evaluation.verdict import Verdict, write_verdict
from ..structures import OccTargets
from .catalog import PROOFS, Comparison, Overfit
from .occluded_movers import occluded_mover_counts, occluded_mover_iou

CONFIGS = Path(__file__).resolve().parents[2] / "configs" / "synthetic"
LEARNED = 0.85
"""mIoU of a sequence known by heart."""
_LOADERS = ("train_dataloader", "val_dataloader", "test_dataloader")


def prove(names: Iterable[str], work_dir: str | Path, data_dir: str | Path) -> list[Verdict]:
    """Run proofs one after the other; trainings and worlds that are there already are used again.

    Args:
        names: keys of `PROOFS`.
        work_dir: receives `<config>/` for every training, with `result.json` and `predictions/`, and
            `<name>.verdict.json` for every proof.
        data_dir: worlds are made in `data_dir/synthetic-<preset>`.

    Raises:
        ConfigError: an unknown proof.
        EvaluationError: a claim is not met; all proofs have been run before, and their verdicts are logged.
    """
    names = list(names)
    for name in names:
        if name not in PROOFS:
            raise ConfigError(f"no proof {name!r}", expected=closest(name, PROOFS))
    logger = MMLogger.get_instance("occstudio")
    verdicts = []
    for name in names:
        proof = PROOFS[name]
        root = Path(data_dir).resolve() / f"synthetic-{proof.world}"
        create_world(root, proof.world)
        if isinstance(proof, Overfit):
            verdict = _overfit(name, proof, root, Path(work_dir))
        else:
            verdict = _compare(name, proof, root, Path(work_dir))
        write_verdict(verdict, Path(work_dir))
        logger.info(verdict.line())
        verdicts.append(verdict)
    failed = [verdict.line() for verdict in verdicts if not verdict.holds]
    if failed:
        raise EvaluationError("not proved", found="; ".join(failed))
    return verdicts


def _overfit(name: str, proof: Overfit, root: Path, work_dir: Path) -> Verdict:
    cfg = _config(proof.config, root, proof.world)
    result = _train_and_score(cfg, work_dir / proof.config)
    if proof.measure == "velocity":
        ours, still = result.metrics["mAVE"], _error_of_standstill(cfg, work_dir / proof.config / "predictions")
        claim = f"the velocities of {proof.config} err at most half as much as if nothing moved"
        return Verdict(name, claim, f"{ours:.3f} m/s against {still:.3f} m/s", ours <= 0.5 * still)
    found = result.metrics[proof.measure]
    claim = f"{proof.config} knows its sequence by heart: {proof.measure} above {100 * LEARNED:.0f} %"
    return Verdict(name, claim, f"{100 * found:.2f} %", found > LEARNED)


def _compare(name: str, proof: Comparison, root: Path, work_dir: Path) -> Verdict:
    numbers = []
    for stem in (proof.better, proof.worse):
        cfg = _config(stem, root, proof.world)
        result = _train_and_score(cfg, work_dir / stem)
        if proof.measure == "occluded movers":
            numbers.append(occluded_mover_iou(_occluded(cfg, work_dir / stem / "predictions")))
        else:
            numbers.append(result.metrics[proof.measure])
    better, worse = numbers
    claim = f"{proof.better} beats {proof.worse} in {proof.measure}"
    return Verdict(name, claim, f"{100 * better:.2f} % against {100 * worse:.2f} %", better > worse)


def _config(stem: str, root: Path, world: str) -> Config:
    """A config with its data sets pointed at the world."""
    options = {}
    for loader in _LOADERS:
        options[f"{loader}.dataset.root"] = str(root)
        options[f"{loader}.dataset.version"] = get_preset(world).version
    return load_config(CONFIGS / f"{stem}.py", options)


def _train_and_score(cfg: Config, folder: Path) -> Result:
    checkpoint = train(cfg, folder / "training", resume=True)
    return score_checkpoint(cfg, checkpoint, folder / "result.json", save_dir=folder / "predictions")


def _error_of_standstill(cfg: Config, predictions: Path) -> float:
    """Velocity error of the same labels with all velocities zero, m/s."""
    dataset = build_dataset(cfg.test_dataloader)
    evaluator = build_evaluator(cfg.evaluation, dataset)
    still = torch.zeros(1, 2, *dataset.grid.zyx)
    for index in range(len(dataset)):
        saved = _saved(predictions, dataset, index)
        evaluator.update(saved.occupancy[None], _targets(dataset, index), [saved.token], still)
    return evaluator.state().compute()["mAVE"]


def _occluded(cfg: Config, predictions: Path) -> Iterator[tuple[int, int]]:
    """Counts of every test frame; velocities come from the OpenOcc labels of the same world."""
    settings = cfg.test_dataloader.dataset
    labels = {"type": "OpenOccLabels", "grid": cfg.grid, "folder": "openocc_v2", "mask": "none"}
    dataset = build_dataset({"dataset": settings})
    moving = build_dataset({"dataset": {**settings, "labels": labels}})
    for index in range(len(dataset)):
        targets, velocity = _targets(dataset, index), _targets(moving, index)
        assert targets.occupancy is not None
        assert targets.mask_camera is not None
        assert velocity.flow is not None
        prediction = _saved(predictions, dataset, index).occupancy
        yield occluded_mover_counts(
            prediction, targets.occupancy[0], targets.mask_camera[0], velocity.flow[0], dataset.label_space
        )


def _targets(dataset: OccDataset, index: int) -> OccTargets:
    targets = collate([dataset[index]]).targets
    assert targets is not None  # mode "evaluate" loads them
    return targets


def _saved(predictions: Path, dataset: OccDataset, index: int) -> SavedPrediction:
    file = predictions / str(dataset.scene_names[index]) / f"{dataset.tokens[index]}.npz"
    return read_prediction(file, dataset.grid, dataset.label_space)
