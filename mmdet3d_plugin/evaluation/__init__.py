"""Occupancy metrics that need numpy and torch only; numba makes the ray caster fast where it is installed."""

from .baselines import MajorityBaseline
from .compare import compare_files
from .evaluator import OccupancyEvaluator
from .origins import lidar_origins
from .predictions import SavedPrediction, read_prediction, write_prediction
from .protocol import Protocol, token_set_hash
from .ray_casting import RayHits, cast_rays, lidar_rays
from .report import Result, format_result, make_result, read_result, write_result
from .scores import ClassScore
from .state import EvaluationState, merge_states

__all__ = [
    "ClassScore",
    "EvaluationState",
    "MajorityBaseline",
    "OccupancyEvaluator",
    "Protocol",
    "RayHits",
    "Result",
    "SavedPrediction",
    "cast_rays",
    "compare_files",
    "format_result",
    "lidar_origins",
    "lidar_rays",
    "make_result",
    "merge_states",
    "read_prediction",
    "read_result",
    "token_set_hash",
    "write_prediction",
    "write_result",
]
