"""Checkpoints: published parameter names to ours, and strict loading."""

from .key_map import Drop, KeyTable, Rename, Tie
from .load import Loaded, load_checkpoint, load_published
from .pretrained import PretrainedReport, load_pretrained, require_source, start_from

__all__ = [
    "Drop",
    "KeyTable",
    "Loaded",
    "PretrainedReport",
    "Rename",
    "Tie",
    "load_checkpoint",
    "load_pretrained",
    "load_published",
    "require_source",
    "start_from",
]
