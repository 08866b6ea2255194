"""Hooks of the training loop."""

from .ema import RampedEma
from .schedules import (
    DenoisingSchedule,
    FlowDenoisingSchedule,
    FrozenStatistics,
    HistorySchedule,
    LinearWarmUp,
    WarmUpCoolDown,
)
from .training_log import TrainingLog, read_log

__all__ = [
    "DenoisingSchedule",
    "FlowDenoisingSchedule",
    "FrozenStatistics",
    "HistorySchedule",
    "LinearWarmUp",
    "RampedEma",
    "TrainingLog",
    "WarmUpCoolDown",
    "read_log",
]
