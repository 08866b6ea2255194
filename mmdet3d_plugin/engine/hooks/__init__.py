"""Hooks of the training loop."""

from .ema import RampedEma
from .schedules import DenoisingSchedule, FlowDenoisingSchedule, HistorySchedule, LinearWarmUp, WarmUpCoolDown
from .training_log import TrainingLog, read_log

__all__ = [
    "DenoisingSchedule",
    "FlowDenoisingSchedule",
    "HistorySchedule",
    "LinearWarmUp",
    "RampedEma",
    "TrainingLog",
    "WarmUpCoolDown",
    "read_log",
]
