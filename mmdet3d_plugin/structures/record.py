"""Base of the dataclasses that travel between the stages."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor

R = TypeVar("R", bound="TensorRecord")

SHARED = {"shared": True}


class TensorRecord:
    """A dataclass whose tensors move, detach and index together.

    Every tensor field has the batch as its first axis. Nested records and tuples of records are followed; a
    tuple of strings or of per-sample tensors (one element per sample) is indexed like the batch axis;
    everything else is kept. A field with `metadata=SHARED` has no batch axis and is not indexed.
    """

    def map(self: R, function: Callable[[Tensor], Tensor]) -> R:
        """The same record with `function` applied to every tensor in it."""
        return type(self)(**{f.name: _map(getattr(self, f.name), function) for f in self._fields()})

    def to(self: R, *args: Any, **kwargs: Any) -> R:
        """Move tensors as `Tensor.to` does; a dtype changes floating point of float32 or narrower only.

        float64 fields (global poses, time stamps) and integer fields keep their type.
        """
        device, dtype, non_blocking, _ = torch._C._nn._parse_to(*args, **kwargs)

        def move(tensor: Tensor) -> Tensor:
            narrow = tensor.is_floating_point() and tensor.dtype != torch.float64
            return tensor.to(device=device, dtype=dtype if narrow else None, non_blocking=non_blocking)

        return self.map(move)

    def equals(self: R, other: R) -> bool:
        """Whether all tensors of two flat records on one device are equal."""
        return all(torch.equal(getattr(self, f.name), getattr(other, f.name)) for f in self._fields())

    def detach(self: R) -> R:
        """The same record outside of the autograd graph."""
        return self.map(Tensor.detach)

    def clone(self: R) -> R:
        """A copy that shares no memory with this record."""
        return self.map(Tensor.clone)

    def pin_memory(self: R) -> R:
        """A copy in page-locked memory, from which a GPU reads while the CPU goes on (the hook of DataLoader)."""
        return self.map(Tensor.pin_memory)

    def __getitem__(self: R, index: int | slice | Tensor) -> R:
        """Select samples of the batch; an integer keeps a batch axis of length one."""
        if isinstance(index, int):
            index = slice(index, index + 1) if index != -1 else slice(-1, None)
        values = {
            f.name: getattr(self, f.name) if f.metadata == SHARED else _select(getattr(self, f.name), index)
            for f in self._fields()
        }
        return type(self)(**values)

    def _fields(self) -> tuple[dataclasses.Field, ...]:
        return dataclasses.fields(self)  # type: ignore[arg-type]


def _map(value: Any, function: Callable[[Tensor], Tensor]) -> Any:
    if isinstance(value, Tensor):
        return function(value)
    if isinstance(value, TensorRecord):
        return value.map(function)
    if isinstance(value, tuple):
        return tuple(_map(item, function) for item in value)
    if isinstance(value, dict):
        return {key: _map(item, function) for key, item in value.items()}
    return value


def _select(value: Any, index: slice | Tensor) -> Any:
    if isinstance(value, Tensor):
        return value[index]
    if isinstance(value, TensorRecord):
        return value[index]
    if isinstance(value, tuple) and value and isinstance(value[0], TensorRecord):
        return tuple(item[index] for item in value)
    if isinstance(value, tuple):
        if isinstance(index, slice):
            return value[index]
        chosen = index.nonzero().flatten() if index.dtype == torch.bool else index
        return tuple(value[i] for i in chosen.tolist())
    if isinstance(value, dict):
        return {key: _select(item, index) for key, item in value.items()}
    return value
