"""Testing a checkpoint from a config: the numbers, and the conditions under which they were measured."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.logging import MMLogger

from ..apis import build_model, load_checkpoint
from ..errors import ConfigError, closest
from ..evaluation.protocol import Protocol
from ..evaluation.report import Result, format_result, make_result, write_result
from .distributed import Launcher, init_processes, rank
from .evaluate import EvaluationResult, evaluate, images_of_another_scene
from .loaders import build_dataset, build_evaluator

_REQUIRED = ("model", "train_dataloader", "test_dataloader", "evaluation", "profile")


def score_checkpoint(
    cfg: Config,
    checkpoint: str | Path,
    out: str | Path,
    *,
    metrics: Sequence[str] | None = None,
    save_dir: str | Path | None = None,
    shuffle_images: bool = False,
    launcher: Launcher = "none",
) -> Result:
    """Score a checkpoint on the test set of a config; any number of processes gives the same numbers.

    Args:
        cfg: as :func:`mmdet3d_plugin.config.load_config` returns it.
        checkpoint: a .pth file, a directory of a checkpoint, or the work directory of a training.
        out: the result file (JSON).
        metrics: instead of those of the config.
        save_dir: where to write the predictions, nowhere if None.
        shuffle_images: feed every sample the images of another scene, as a control.
        launcher: how the processes were started.

    Returns:
        the result, equal on every process; rank 0 has written it.
    """
    for key in _REQUIRED:
        if key not in cfg:
            raise ConfigError(f"the config {cfg.filename} lacks {key!r}", expected=closest(key, cfg.keys()))
    init_processes(launcher)
    logger = MMLogger.get_instance("occstudio")
    model = build_model(cfg)
    load_checkpoint(model, checkpoint)
    dataset = build_dataset(cfg.test_dataloader)
    settings = dict(cfg.evaluation) if metrics is None else {**cfg.evaluation, "metrics": tuple(metrics)}
    found = evaluate(
        model,
        dataset,
        build_evaluator(settings, dataset),
        num_workers=cfg.test_dataloader.get("num_workers", 0),
        images_from=images_of_another_scene(dataset) if shuffle_images else None,
        save_dir=save_dir,
    )
    result = make_result(found.state, measured_under(cfg, dataset, found))
    if rank() == 0:
        write_result(out, result)
        logger.info(f"{format_result(result)}\n{found.seconds:.1f} s; written to {out}")
    return result


def measured_under(cfg: Config, dataset: Any, found: EvaluationResult) -> Protocol:
    """The conditions of an evaluation of the test set of a config."""
    data = cfg.test_dataloader.dataset
    mask = cfg.train_dataloader.dataset.get("labels", {}).get("mask", "none")
    return Protocol.from_state(
        found.state,
        dataset.grid,
        dataset=" ".join(data[key] for key in ("type", "version", "split") if key in data),
        synthetic=dataset.synthetic,
        training_mask={"none": "all"}.get(mask, mask),
        profile=cfg.profile.name,
    )
