"""Training, evaluation and checkpoints. Everything that knows mmengine's Runner lives here."""

from . import amp, hooks, layer_decay
from .evaluate import EvaluationResult, evaluate, images_of_another_scene
from .offline import score_predictions
from .runner import train
from .scoring import score_checkpoint

__all__ = [
    "EvaluationResult",
    "amp",
    "evaluate",
    "hooks",
    "images_of_another_scene",
    "layer_decay",
    "score_checkpoint",
    "score_predictions",
    "train",
]
