"""Training from a config: the Runner of mmengine with our loop, our checkpoints and our start-up."""

from __future__ import annotations

import logging
import secrets
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.model import convert_sync_batchnorm
from mmengine.runner import Runner
from torch import nn

from ..apis import build_model
from ..errors import CheckpointError, ConfigError, closest
from ..models.checkpoints import require_source, start_from
from ..models.occupancy_model import OccupancyModel
from ..registry import HOOKS, OPTIMIZERS, SCOPE, check_arguments
from . import checkpoint as ckpt
from .distributed import (
    Launcher,
    StreamingDataParallel,
    init_processes,
    local_device,
    rank,
    unwrapped,
    world_size,
)
from .environment import describe_environment, git_hash, write_environment
from .evaluate import evaluate
from .fit import require_fit
from .hooks import RampedEma, TrainingLog
from .loaders import build_dataset, build_evaluator, training_loader
from .loop import StreamingTrainLoop
from .plan import TrainPlan

_MMENGINE_HOOKS = ("runtime_info", "timer", "sampler_seed", "logger", "param_scheduler", "checkpoint")
_REQUIRED = (
    "model",
    "train_cfg",
    "train_dataloader",
    "val_dataloader",
    "evaluation",
    "optim_wrapper",
    "hooks",
    "seed",
)


def train(
    cfg: Config,
    work_dir: str | Path,
    *,
    resume: bool = False,
    amp: bool = False,
    launcher: Launcher = "none",
) -> Path:
    """Train the model of a config.

    Args:
        cfg: as :func:`mmdet3d_plugin.config.load_config` returns it.
        work_dir: where checkpoints and logs go.
        resume: continue from the newest checkpoint in `work_dir`; start from the beginning where there is
            none.
        amp: run the forward pass in bfloat16.
        launcher: how the processes were started.

    Returns:
        directory of the last checkpoint.

    Raises:
        OccStudioError: anything in the config, the data or the directory that does not fit.
    """
    init_processes(launcher)
    runner = OccRunner(cfg, Path(work_dir), resume=resume, amp=amp, launcher=launcher)
    runner.train()
    return ckpt.saved_checkpoints(Path(work_dir))[-1]


class _NoVisualizer:
    """Stands in for mmengine's, which spends seconds on an empty figure; `TrainingLog` writes the logs."""

    def add_config(self, config: Config) -> None:
        """The Runner writes the config to the work directory itself."""


def store_channels_last(model: nn.Module) -> None:
    """Lay out the kernels of convolutions in space as oneDNN likes them: gradients of narrow ones take a fraction of
    the time on a CPU (`benchmarks/bench_narrow_convolutions.py`)."""
    for module in model.modules():
        if isinstance(module, nn.Conv3d):
            module.weight.data = module.weight.data.contiguous(memory_format=torch.channels_last_3d)


class OccRunner(Runner):
    """One training. See :func:`train`."""

    def __init__(self, cfg: Config, work_dir: Path, *, resume: bool, amp: bool, launcher: Launcher):
        for key in _REQUIRED:
            if key not in cfg:
                raise ConfigError(f"the config {cfg.filename} lacks {key!r}", expected=closest(key, cfg.keys()))
        self.plan = TrainPlan.from_config(cfg.train_cfg)
        self.plan.lanes_per_process(world_size())
        self._lock = ckpt.claim(work_dir) if rank() == 0 else None
        saved = ckpt.saved_checkpoints(work_dir)
        if saved and not resume:
            raise ConfigError(
                f"{work_dir} already holds a training",
                found=f"checkpoint {saved[-1].name}",
                fix="continue it with --resume, or choose another WORK_DIR",
            )
        if cfg.get("load_from") is not None and not saved:
            require_source(cfg.load_from)
        super().__init__(
            model=dict(cfg.model),
            work_dir=str(work_dir),
            train_dataloader={},
            train_cfg={},
            optim_wrapper=_optimiser_config(cfg, amp),
            default_hooks=dict.fromkeys(_MMENGINE_HOOKS),
            custom_hooks=[HOOKS.build(hook) for hook in cfg.hooks.values() if hook is not None],
            load_from=cfg.get("load_from"),
            resume=resume and bool(saved),
            launcher=launcher,
            default_scope=SCOPE,
            randomness={"seed": cfg.seed, "diff_rank_seed": True},
            experiment_name=f"{Path(cfg.filename or 'config').stem}_{secrets.token_hex(4)}",
            cfg=cfg,
        )
        self._val_dataset: Any = None

    # -- pieces that mmengine asks for
    # ---------------------------------------------------------------------------

    def build_model(self, model: dict) -> nn.Module:
        """Build the model, checking every key."""
        return build_model(model)

    def build_visualizer(self, visualizer: Any = None) -> _NoVisualizer:
        """None: see :class:`_NoVisualizer`."""
        return _NoVisualizer()

    def wrap_model(self, model_wrapper_cfg: dict | None, model: nn.Module) -> nn.Module:
        """Move the model to its device and make it data parallel."""
        device = local_device()
        model = model.to(device)
        if device.type == "cpu":
            store_channels_last(model)
        if not self.distributed:
            return model
        if device.type == "cuda":
            model = convert_sync_batchnorm(model)  # SyncBatchNorm exists on CUDA only
        return StreamingDataParallel(model, self.cfg.get("find_unused_parameters", False))

    def build_train_loop(self, loop: dict) -> StreamingTrainLoop:
        """Build the data sets, which must fit the model, the sampler and the loop."""
        if isinstance(loop, StreamingTrainLoop):
            return loop
        loader = training_loader(self.cfg.train_dataloader, self.plan, self.cfg.seed, rank(), world_size())
        samples: Any = loader.dataset
        require_fit(unwrapped(self.model), samples.dataset)
        if self.plan.val_every:
            self._val_dataset = build_dataset(self.cfg.val_dataloader)  # a bad one must not wait for its turn
            require_fit(unwrapped(self.model), self._val_dataset)
        return StreamingTrainLoop(self, loader, self.plan)

    def _log_env(self, env_cfg: dict) -> None:
        """Write the environment to a file and the essentials to the log."""
        if rank() == 0:
            write_environment(Path(self.work_dir))
        environment = describe_environment()
        optimiser = self.cfg.optim_wrapper.optimizer
        plan, lanes = self.plan, self.plan.lanes_per_process(world_size())
        self.logger.info(
            f"OccStudio {environment['occstudio']} ({environment['git']}), torch {torch.__version__}, "
            f"{environment['devices'][0]}\n"
            f"global batch {plan.global_batch} = {world_size()} processes x {lanes} streams; "
            f"{plan.samples} samples in {plan.steps} steps; "
            f"{optimiser.type} with learning rate {optimiser.lr:g} (not scaled with the batch)"
        )

    def get_hooks_info(self) -> str:
        """Names of the hooks in the order in which they run."""
        return "  " + ", ".join(type(hook).__name__ for hook in self.hooks)

    # -- validation
    # ----------------------------------------------------------------------------------------------

    def validate(self) -> dict[str, float]:
        """Score the averaged weights (the weights themselves without EMA) on the validation set."""
        self.call_hook("before_val")
        self.call_hook("before_val_epoch")
        model = unwrapped(self.model)
        average = next((hook for hook in self.hooks if isinstance(hook, RampedEma)), None)
        generators = ckpt.rng_state()
        if average is None:
            result = self._evaluate(model)
        else:
            with average.applied(model):
                result = self._evaluate(model)
        ckpt.set_rng_state(generators)
        self.call_hook("after_val_epoch", metrics=result)
        self.call_hook("after_val")
        return result

    def _evaluate(self, model: OccupancyModel) -> dict[str, float]:
        evaluator = build_evaluator(self.cfg.evaluation, self._val_dataset)
        workers = self.cfg.val_dataloader.get("num_workers", 0)
        return evaluate(model, self._val_dataset, evaluator, num_workers=workers).metrics

    # -- checkpoints
    # ---------------------------------------------------------------------------------------------

    def save(self) -> Path:
        """Write a checkpoint; called by all processes together after an optimiser step."""
        log = next((hook for hook in self.hooks if isinstance(hook, TrainingLog)), None)
        if log is not None:
            log.flush(self, self.train_loop.samples_seen)
        model = unwrapped(self.model)
        trainer: dict[str, Any] = {
            "state_dict": model.state_dict(),
            "optimizer": self.optim_wrapper.state_dict(),
            "sampler": self.train_loop.dataloader.batch_sampler.state_dict(),
            "processes": world_size(),
        }
        self.call_hook("before_save_checkpoint", checkpoint=trainer)
        weights = trainer.pop("averaged", trainer["state_dict"])
        meta = {
            "samples": self.train_loop.samples_seen,
            "config": Path(self.cfg.filename or "config").name,
            "git": git_hash(),
            "label_space": self.cfg.get("label_space"),
        }
        shared = {ckpt.MODEL: {"meta": meta, "state_dict": weights}, ckpt.TRAINER: trainer}
        own = {"rng": ckpt.rng_state(), "stream": model.stream_state_dict()}
        path = ckpt.save_checkpoint(Path(self.work_dir), meta["samples"], shared, own)
        self.logger.info(f"saved {path}")
        return path

    def load_or_resume(self) -> None:
        """Continue from the newest checkpoint of the work directory, or load the weights that the config
        names.
        """
        if self._resume:
            self._resume_from(ckpt.saved_checkpoints(Path(self.work_dir))[-1])
        elif self._load_from is not None:
            report = start_from(unwrapped(self.model), ckpt.resolve_checkpoint(self._load_from))
            if report is not None:
                self.logger.log(logging.INFO if report.is_complete else logging.WARNING, str(report))

    def _resume_from(self, path: Path) -> None:
        trainer = ckpt.load_file(path / ckpt.TRAINER)
        sampler = self.train_loop.dataloader.batch_sampler
        sampler.load_state_dict(trainer["sampler"])
        model = unwrapped(self.model)
        try:
            model.load_state_dict(trainer["state_dict"])
            self.optim_wrapper.load_state_dict(trainer["optimizer"])
        except (RuntimeError, ValueError) as error:
            raise CheckpointError(
                f"{path} is a checkpoint of another model",
                found=str(error),
                fix="resume with the config in WORK_DIR",
            ) from error
        trainer["averaged"] = ckpt.load_file(path / ckpt.MODEL)["state_dict"]
        self.call_hook("after_load_checkpoint", checkpoint=trainer)
        self.train_loop.steps_done = sampler.position
        own = ckpt.load_own_state(path, trainer["processes"])
        if own["rng"] is not None:
            ckpt.set_rng_state(own["rng"])
        else:
            self.logger.warning("another number of processes than before: the random generators start afresh")
        model.load_stream_state_dict(own["stream"], local_device())
        self.logger.info(f"resumed from {path}: {self.train_loop.samples_seen} samples seen")


def _optimiser_config(cfg: Config, amp: bool) -> dict[str, Any]:
    """The `optim_wrapper` of the config, its keys checked against the classes that will receive them."""
    wrapper = dict(cfg.optim_wrapper)
    wrapper["type"] = "BFloat16OptimWrapper" if amp else wrapper.get("type", "OptimWrapper")
    check_arguments(wrapper["optimizer"], OPTIMIZERS)
    return wrapper
