"""Checkpoints: published parameter names to ours, and strict loading."""

from .key_map import Drop, KeyTable, Rename
from .load import load_checkpoint, load_published

__all__ = ["Drop", "KeyTable", "Rename", "load_checkpoint", "load_published"]
