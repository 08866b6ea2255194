"""Which implementation an op uses: the Triton kernel on CUDA tensors, the PyTorch reference elsewhere."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

_TRITON = importlib.util.find_spec("triton") is not None
_reference_forced = False


@contextmanager
def use_reference() -> Iterator[None]:
    """Run every op inside the block by its PyTorch reference, whatever the device."""
    global _reference_forced
    before, _reference_forced = _reference_forced, True
    try:
        yield
    finally:
        _reference_forced = before


def runs_kernel(tensor: Tensor) -> bool:
    """True where an op called with `tensor` runs its Triton kernel.

    The kernels add atomically, in an order that changes from run to run; after
    `torch.use_deterministic_algorithms(True)` the references run instead.
    """
    return tensor.is_cuda and _TRITON and not _reference_forced and not torch.are_deterministic_algorithms_enabled()


def describe_backends() -> dict[str, str]:
    """Device type -> implementation that ops use there, for `occstudio doctor`."""
    if not torch.cuda.is_available():
        cuda = "no CUDA device"
    elif not _TRITON:
        cuda = "PyTorch reference (triton is not installed)"
    else:
        cuda = "Triton kernels"
    return {"cpu": "PyTorch reference", "cuda": cuda}
