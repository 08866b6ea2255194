"""Hooks of the training loop."""

from .ema import RampedEma
from .schedules import DenoisingSchedule, HistorySchedule, LinearWarmUp
from .training_log import TrainingLog, read_log

__all__ = ["DenoisingSchedule", "HistorySchedule", "LinearWarmUp", "RampedEma", "TrainingLog", "read_log"]
