"""Trainings that show on the synthetic world that a method learns what it is for: `occstudio prove`."""

from .catalog import PROOFS, Comparison, Overfit
from .run import prove

__all__ = ["PROOFS", "Comparison", "Overfit", "prove"]
