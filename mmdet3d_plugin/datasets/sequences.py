"""Streams: the order in which key frames follow each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import ConfigError, DataError


@dataclass(frozen=True)
class Sequences:
    """The streams of a data set; every key frame belongs to exactly one.

    Attributes:
        members: positions of the key frames of each sequence, by time.
        sequence: [F] sequence of each key frame.
        starts: [F] True for the first key frame of a sequence.
    """

    members: tuple[np.ndarray, ...]
    sequence: np.ndarray
    starts: np.ndarray


def split_sequences(scenes: np.ndarray, parts: int | None) -> Sequences:
    """Cut scenes of n key frames into chunks of ceil(n / parts), the last one shorter (spec/data/pipelines).

    Args:
        scenes: [F] scene of every key frame, by scene and time.
        parts: number of chunks; 1 keeps whole scenes. A short scene may give fewer. None = chunks of one key frame.

    Raises:
        ConfigError: parts is below 1.
        DataError: the key frames of a scene do not follow each other.
    """
    if parts is not None and parts < 1:
        raise ConfigError("sequences_split counts parts of a scene", found=parts, expected=">= 1")
    borders = np.flatnonzero(scenes[1:] != scenes[:-1]) + 1
    known: set = set()
    members: list[np.ndarray] = []
    for frames in np.split(np.arange(len(scenes)), borders) if len(scenes) else ():
        scene = scenes[frames[0]]
        if scene in known:
            raise DataError(f"scene {scene} is interrupted by another one", expected="key frames by scene and time")
        known.add(scene)
        length = 1 if parts is None else -(-len(frames) // parts)
        members.extend(frames[start : start + length] for start in range(0, len(frames), length))
    sequence, starts = np.empty(len(scenes), dtype=np.int64), np.zeros(len(scenes), dtype=bool)
    for number, frames in enumerate(members):
        sequence[frames] = number
        starts[frames[0]] = True
    return Sequences(tuple(members), sequence, starts)


def sequence_lengths(sequences: Sequence[Sequence[int]]) -> np.ndarray:
    """[S] int64 numbers of key frames.

    Raises:
        ConfigError: there is no sequence, or one is empty.
    """
    lengths = np.array([len(s) for s in sequences], dtype=np.int64)
    if not len(lengths) or lengths.min() < 1:
        raise ConfigError("a sampler needs at least one sequence, and no empty one", found=f"{len(lengths)} sequences")
    return lengths
