"""The demo: make a world, train on it, score held-out scenes beside two baselines, draw a report."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.logging import MMLogger

from .config import load_config
from .datasets.collate import collate
from .datasets.synthetic import create_world
from .datasets.synthetic.presets import get_preset
from .engine.evaluate import EvaluationResult
from .engine.loaders import build_dataset, build_evaluator
from .engine.runner import train
from .engine.scoring import measured_under, score_checkpoint
from .errors import EvaluationError
from .evaluation import MajorityBaseline
from .evaluation.report import Result, make_result, write_result
from .visualization import ReportData, ResultTable, compose_panel, read_loss_curve, write_report
from .visualization.sources import read_scenes

CONFIGS = Path(__file__).resolve().parents[1] / "configs" / "synthetic"
MODEL, SHUFFLED, MAJORITY = "model", "model, images of another scene", "majority label per voxel"
HEADLINE = "mIoU@camera"


@dataclass(frozen=True)
class DemoPreset:
    """One size of the demo.

    Attributes:
        world: preset of the synthetic world.
        config: stem of a config in `configs/synthetic`.
        margin: by how much the mIoU inside the camera mask must exceed that of both baselines, as a fraction;
            None does not compare (a few steps learn nothing).
    """

    world: str
    config: str
    margin: float | None


PRESETS = {
    "tiny": DemoPreset("tiny", "alocc_2d_mini_tiny", margin=None),
    "small": DemoPreset("small", "alocc_2d_mini_small", margin=0.0),
    "learn": DemoPreset("learn", "alocc_2d_mini_learn", margin=0.10),
}


def run_demo(preset: str, work_dir: str | Path, data_root: str | Path) -> dict[str, Result]:
    """Run the whole line once; what is already made (world, checkpoints) is used again.

    Args:
        preset: "tiny" (a smoke test), "small" (minutes) or "learn" (up to an hour on two cores).
        work_dir: receives `training/`, `predictions/`, `results/` and `report/`.
        data_root: where the world is, or is made.

    Returns:
        results of the model and of the two baselines by name.

    Raises:
        EvaluationError: the model does not beat both baselines by the margin of the preset; the report is
            written before.
    """
    started = time.perf_counter()
    settings, work_dir, data_root = PRESETS[preset], Path(work_dir), Path(data_root).resolve()
    create_world(data_root, settings.world)
    cfg = demo_config(settings, data_root)
    checkpoint = train(cfg, work_dir / "training", resume=True)
    results = score_rows(cfg, checkpoint, work_dir)
    page = draw(cfg, results, work_dir)
    seconds = time.perf_counter() - started
    logger = MMLogger.get_current_instance()
    logger.info(f"{summary(results)}\ndemo finished in {seconds:.0f} s; open {page} in a browser")
    require_margin(results, settings.margin)
    return results


def demo_config(settings: DemoPreset, data_root: Path) -> Config:
    """The config of a preset with its data sets pointed at `data_root`."""
    version = get_preset(settings.world).version
    options: dict[str, Any] = {}
    for loader in ("train_dataloader", "val_dataloader", "test_dataloader"):
        options[f"{loader}.dataset.root"] = str(data_root)
        options[f"{loader}.dataset.version"] = version
    return load_config(CONFIGS / f"{settings.config}.py", options)


def score_rows(cfg: Config, checkpoint: Path, work_dir: Path) -> dict[str, Result]:
    """Score the model, the same model fed another scene's images, and the majority label, by one evaluator.

    Writes `results/*.json` and the predictions of the model. With one held-out scene there is no other to shuffle with.
    """
    folder = work_dir / "results"
    results = {MODEL: score_checkpoint(cfg, checkpoint, folder / "model.json", save_dir=work_dir / "predictions")}
    if len(build_dataset({"dataset": cfg.test_dataloader.dataset}).sequences) > 1:
        results[SHUFFLED] = score_checkpoint(cfg, checkpoint, folder / "shuffled_images.json", shuffle_images=True)
    results[MAJORITY] = score_majority(cfg, folder / "majority.json")
    return results


def score_majority(cfg: Config, out: Path) -> Result:
    """Score, on the test samples, the most frequent label of every voxel in the visible training voxels."""
    started = time.perf_counter()
    test = cfg.test_dataloader.dataset
    training = build_dataset({"dataset": {**test, "split": cfg.train_dataloader.dataset.split}})
    baseline = MajorityBaseline(training.label_space, training.grid)
    for index in range(len(training)):
        targets = collate([training[index]]).targets
        baseline.update(targets.occupancy, targets.mask_camera)
    constant = baseline.predict()[None]
    held_out = build_dataset({"dataset": test})
    evaluator = build_evaluator(cfg.evaluation, held_out)
    for index in range(len(held_out)):
        evaluator.update(constant, collate([held_out[index]]).targets, [str(held_out.tokens[index])])
    evaluator.check_complete(held_out.tokens.tolist())
    found = EvaluationResult(evaluator.state(), time.perf_counter() - started)
    result = make_result(found.state, measured_under(cfg, held_out, found))
    write_result(out, result)
    return result


def draw(cfg: Config, results: dict[str, Result], work_dir: Path) -> Path:
    """Write `report/index.html` and a still of every scene from the saved predictions; returns the page."""
    dataset = build_dataset({"dataset": cfg.test_dataloader.dataset})
    data = ReportData(
        title=f"OccStudio: {Path(cfg.filename).stem}",
        space=dataset.label_space,
        grid=dataset.grid,
        scenes=read_scenes(work_dir / "predictions", (dataset.root, dataset.labels), dataset.root, None),
        synthetic=dataset.synthetic,
        frame=dataset.frame,
        curve=read_loss_curve(work_dir / "training"),
        results=ResultTable({k: r.metrics for k, r in results.items()}, results[MODEL].protocol.to_dict()),
    )
    for scene in data.scenes:
        compose_panel(data, scene.frames[len(scene.frames) // 2], work_dir / "report" / f"{scene.name}.png")
    return write_report(work_dir / "report" / "index.html", data)


def summary(results: dict[str, Result]) -> str:
    """One line per result: its name and its metrics in percent."""
    width = max(map(len, results))
    return "\n".join(
        f"{name:{width}}  " + "  ".join(f"{key} {100 * value:.2f}" for key, value in result.metrics.items())
        for name, result in results.items()
    )


def require_margin(results: dict[str, Result], margin: float | None) -> None:
    """Raise an EvaluationError unless the model beats both baselines by more than `margin` mIoU."""
    if margin is None:
        return
    model = results[MODEL].metrics[HEADLINE]
    best = max((SHUFFLED, MAJORITY), key=lambda name: results[name].metrics[HEADLINE])
    bar = results[best].metrics[HEADLINE]
    if not model > bar + margin:
        raise EvaluationError(
            "the model has not learned what it should",
            found=f"{HEADLINE} {100 * model:.2f}",
            expected=f"more than {100 * (bar + margin):.2f}: {best!r} reaches {100 * bar:.2f}",
        )
