"""Comparing what two sources of the same data set give."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch


def rerooted(value, root: str):
    if isinstance(value, dict):
        return {key: rerooted(item, root) for key, item in value.items()}
    if isinstance(value, list):
        return [rerooted(item, root) for item in value]
    return value.replace(root, "./data/nuscenes") if isinstance(value, str) else value


def equal(a, b) -> bool:
    if dataclasses.is_dataclass(a):
        return type(a) is type(b) and all(equal(getattr(a, f.name), getattr(b, f.name)) for f in dataclasses.fields(a))
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and a.shape == b.shape and a.numpy().tobytes() == b.numpy().tobytes()
    if isinstance(a, np.ndarray):
        return a.shape == b.shape and a.dtype.kind == b.dtype.kind and bool((a == b).all())
    if isinstance(a, tuple):
        return len(a) == len(b) and all(map(equal, a, b))
    return a == b
