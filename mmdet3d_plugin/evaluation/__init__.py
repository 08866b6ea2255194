"""Occupancy metrics that need numpy and torch only; numba makes the ray caster fast where it is installed."""

from .evaluator import OccupancyEvaluator
from .origins import lidar_origins
from .predictions import SavedPrediction, read_prediction, write_prediction
from .ray_casting import RayHits, cast_rays, lidar_rays
from .scores import ClassScore
from .state import EvaluationState, merge_states

__all__ = [
    "ClassScore",
    "EvaluationState",
    "OccupancyEvaluator",
    "RayHits",
    "SavedPrediction",
    "cast_rays",
    "lidar_origins",
    "lidar_rays",
    "merge_states",
    "read_prediction",
    "write_prediction",
]
