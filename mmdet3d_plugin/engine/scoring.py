"""Testing a checkpoint from a config: the numbers, and the conditions under which they were measured."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from mmengine.config import Config
from mmengine.logging import MMLogger

from ..apis import build_model, load_checkpoint
from ..errors import ConfigError, EvaluationError, closest
from ..evaluation.protocol import Protocol
from ..evaluation.report import Result, format_result, make_result, write_result
from .distributed import Launcher, all_gather, init_processes, rank
from .evaluate import EvaluationResult, evaluate, images_of_another_scene
from .fit import require_fit, require_trained_on
from .loaders import build_dataset, build_evaluator

_REQUIRED = ("model", "train_dataloader", "test_dataloader", "evaluation", "profile")


def score_checkpoint(
    cfg: Config,
    checkpoint: str | Path,
    out: str | Path,
    *,
    metrics: Sequence[str] | None = None,
    save_dir: str | Path | Literal[True] | None = None,
    shuffle_images: bool = False,
    launcher: Launcher = "none",
) -> Result:
    """Score a checkpoint on the test set of a config; any number of processes gives the same numbers.

    Args:
        cfg: as :func:`mmdet3d_plugin.config.load_config` returns it.
        checkpoint: a .pth file, a directory of a checkpoint, or the work directory of a training.
        out: the result file (JSON).
        metrics: instead of those of the config.
        save_dir: where to write the predictions, nowhere if None; True makes a new folder beside `out`,
            `predictions/<time>`.
        shuffle_images: feed every sample the images of another scene, as a control.
        launcher: how the processes were started.

    Returns:
        the result, equal on every process; rank 0 has written it.

    Raises:
        ConfigError: the config lacks a part, or the model does not fit the labels of the data set.
        CheckpointError: the checkpoint cannot be read or belongs to another model.
        EvaluationError: see :func:`evaluate`; or the folder of the predictions cannot be made.
    """
    for key in _REQUIRED:
        if key not in cfg:
            raise ConfigError(f"the config {cfg.filename} lacks {key!r}", expected=closest(key, cfg.keys()))
    init_processes(launcher)
    logger = MMLogger.get_instance("occstudio")
    model = build_model(cfg)
    dataset = build_dataset(cfg.test_dataloader)
    require_fit(model, dataset)
    require_trained_on(load_checkpoint(model, checkpoint), dataset)
    settings = dict(cfg.evaluation) if metrics is None else {**cfg.evaluation, "metrics": tuple(metrics)}
    folder = _new_folder(Path(out).parent / "predictions") if save_dir is True else save_dir
    found = evaluate(
        model,
        dataset,
        build_evaluator(settings, dataset),
        num_workers=cfg.test_dataloader.get("num_workers", 0),
        images_from=images_of_another_scene(dataset) if shuffle_images else None,
        save_dir=folder,
    )
    result = make_result(found.state, measured_under(cfg, dataset, found), found.faults)
    if rank() == 0:
        write_result(out, result)
        saved = "" if folder is None else f"; predictions in {folder}"
        logger.info(f"{format_result(result)}\n{found.seconds:.1f} s; written to {out}{saved}")
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


def _new_folder(parent: Path) -> Path:
    """A folder named by the time, made by rank 0 for all: each process by its own clock might name another one."""
    return all_gather(_make_folder(parent / time.strftime("%Y%m%d-%H%M%S")) if rank() == 0 else None)[0]


def _make_folder(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True)  # one that exists is refused: it would mix the predictions of two runs
    except OSError as error:
        raise EvaluationError(
            f"folder {folder} for the predictions cannot be made",
            found=error.strerror or error,
            fix="start again, or name another folder",
        ) from error
    return folder
