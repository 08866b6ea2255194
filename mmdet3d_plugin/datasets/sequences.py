"""Streams: the order in which key frames follow each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import ConfigError
from .index import KeyFrameIndex


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


def split_sequences(index: KeyFrameIndex, parts: int) -> Sequences:
    """Cut scenes of n key frames into chunks of ceil(n / parts), the last one shorter (spec/data/pipelines).

    Args:
        index: key frames by scene and time.
        parts: number of chunks; 1 keeps whole scenes. A short scene may give fewer.

    Raises:
        ConfigError: parts is below 1.
    """
    if parts < 1:
        raise ConfigError("sequences_split counts parts of a scene", found=parts, expected=">= 1")
    members: list[np.ndarray] = []
    for scene in range(len(index.scene_names)):
        frames = index.frames_of(scene)
        length = -(-len(frames) // parts)
        members.extend(frames[start : start + length] for start in range(0, len(frames), length))
    sequence, starts = np.empty(len(index), dtype=np.int64), np.zeros(len(index), dtype=bool)
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
