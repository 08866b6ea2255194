"""Lengths of published passes, for schedules that count samples."""

from __future__ import annotations

CBGS_FACTOR = 4.554
"""How much class-balanced grouping (CBGS) enlarged the nuScenes training split."""


def cbgs_pass(samples: int, global_batch: int) -> int:
    """Training samples of one published "epoch" (spec/data/pipelines section 0).

    Published schedules count passes over a data set in which CBGS repeats samples of rare classes. Streams cannot
    repeat single key frames; of CBGS only the length is kept: int(samples // batch * 4.554) batches.

    Args:
        samples: key frames of the training split; 28,130 in nuScenes.
        global_batch: samples per optimiser step of all processes.
    """
    return int(samples // global_batch * CBGS_FACTOR) * global_batch
