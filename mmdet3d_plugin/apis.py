"""The Python face of OccStudio: build a model, load weights, predict frame by frame."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config

from .config import load_config
from .models.occupancy_model import OccupancyModel
from .registry import MODELS
from .structures import Frame, OccBatch, OccLabels

__all__ = ["OccupancyPredictor", "build_model", "load_checkpoint", "load_config"]


def build_model(cfg: Config | dict[str, Any]) -> OccupancyModel:
    """Build a model with random weights.

    Args:
        cfg: a whole config, or its `model` part.

    Raises:
        ConfigError: a type or an argument does not exist; the message names the closest one.
    """
    return MODELS.build(cfg.get("model", cfg))


def load_checkpoint(model: torch.nn.Module, path: str | Path) -> dict[str, Any]:
    """Load weights, strictly both ways; published files are recognised and converted.

    Args:
        model: as :func:`build_model` returns it.
        path: a .pth or .safetensors file, a directory of a checkpoint, or the work directory of a training.

    Returns:
        the meta data of the checkpoint; of a converted file, its model card.

    Raises:
        CheckpointError: the file cannot be read or belongs to another model.
    """
    from .engine.checkpoint import resolve_checkpoint
    from .models.checkpoints import load_checkpoint as load

    return load(model, resolve_checkpoint(path)).meta


class OccupancyPredictor:
    """Streams key frames through a model: frame in, labels out.

    Args:
        config: config file, or a loaded config.
        checkpoint: weights; None keeps the random ones.
        device: where to run; the GPU if there is one when None.
    """

    def __init__(self, config: str | Path | Config, checkpoint: str | Path | None = None, device: str | None = None):
        cfg = config if isinstance(config, Config) else load_config(config)
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.model = build_model(cfg)
        if checkpoint is not None:
            load_checkpoint(self.model, checkpoint)
        self.model.to(self.device).eval()

    @torch.inference_mode()
    def __call__(self, frame: Frame) -> OccLabels:
        """Labels of the next key frame of B parallel streams.

        Args:
            frame: images [B, N, 3, H, W] uint8 RGB, calibration and motion. `frame.meta.starts_sequence`
                begins a new sequence in a lane; otherwise `frame.meta.prev_from_ego` must lead to the frame
                before.

        Returns:
            occupancy [B, Z, Y, X] uint8 label ids and, where the model predicts it, flow in m/s.

        Raises:
            StreamError: frames are out of order, or a camera or a lane is missing that was there before.
        """
        return self.model.val_step(OccBatch((frame,)))

    def reset(self) -> None:
        """Forget the past of all lanes; needed when the number of lanes changes."""
        self.model.reset_stream()
