"""Trainings of the toy model, in forked processes that may be killed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import engine_toy
import pytest
import torch
import torch._dynamo  # optimisers import it: once here instead of once per child
import torch.utils.tensorboard
from engine_processes import run_processes

from mmdet3d_plugin.config import load_config
from mmdet3d_plugin.engine import train

torch.set_num_threads(1)


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    path = tmp_path / "toy.py"
    path.write_text(engine_toy.CONFIG)
    return path


@pytest.fixture
def training(config_file: Path, tmp_path: Path) -> Callable[..., tuple[list[int], str]]:
    """Train in child processes; options of the config are keyword arguments with `__` for dots."""

    def start(
        work_dir: str,
        processes: int = 1,
        resume: bool = False,
        amp: bool = False,
        hooks: dict | None = None,
        **options: object,
    ) -> tuple[list[int], str]:
        dotted = {key.replace("__", "."): value for key, value in options.items()}
        cfg = load_config(config_file, dotted)
        cfg.hooks.update(hooks or {})
        return run_processes(
            lambda launcher: train(cfg, tmp_path / work_dir, resume=resume, amp=amp, launcher=launcher) and None,
            processes,
            tmp_path,
        )

    return start
