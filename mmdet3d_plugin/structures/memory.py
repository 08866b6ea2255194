"""What a stage remembers from one frame of a stream to the next."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from ..errors import StreamError
from .frame import FrameMeta
from .record import TensorRecord


@dataclass
class Memory(TensorRecord):
    """Base of all memories. Subclasses add tensor fields with the batch as first axis.

    Attributes:
        age: [B] int64, number of frames remembered; 0 tells the stage to initialise that lane from the
            current frame, whatever the other fields hold.
    """

    age: Tensor

    kinds: ClassVar[dict[str, type[Memory]]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        Memory.kinds[cls.__name__] = cls

    def require_shape(self, name: str, expected: Sequence[int], stage: str) -> None:
        """Check a field against what the stage computes for the current frame; shapes alone, so no GPU is waited for.

        Args:
            name: of the field.
            expected: its shape.
            stage: name of the stage for the message.

        Raises:
            StreamError: the field has another shape: what is remembered is of another grid, rig or batch.
        """
        found = tuple(getattr(self, name).shape)
        if found != tuple(expected):
            raise StreamError(
                f"the memory of {stage} does not fit the frame: `{name}` has another shape",
                found=found,
                expected=tuple(expected),
                fix="start with an empty state (reset_stream()) where the grid, the cameras or the batch size change, "
                "and continue a training with the config that it was started with",
            )

    def cleared(self, lanes: Tensor) -> Memory:
        """The same memory with `age` set to 0 where `lanes` ([B] bool) is True, also in memories inside of it."""
        parts = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        cleared = {name: part.cleared(lanes) for name, part in parts.items() if isinstance(part, Memory)}
        return dataclasses.replace(self, age=self.age.masked_fill(lanes, 0), **cleared)


@dataclass
class TemporalState:
    """The memories of all stages of a network for the B lanes of a batch.

    Immutable by convention: stages return a new one.

    Attributes:
        memories: stage name -> memory; a stage that has not run yet is absent.
    """

    memories: dict[str, Memory] = dataclasses.field(default_factory=dict)

    def enter(self, meta: FrameMeta) -> TemporalState:
        """The state to use for the frame of `meta`: every lane whose sequence starts is cleared.

        Raises:
            StreamError: a memory holds another number of lanes than the frame.
        """
        starts = meta.starts_sequence
        for name, memory in self.memories.items():
            if memory.age.shape[0] != starts.shape[0]:
                raise StreamError(
                    f"the memory of stage {name!r} is of another batch size than the frame",
                    found=f"memory.age of {memory.age.shape[0]} lanes, images of {starts.shape[0]}",
                    fix="start with an empty state (reset_stream()) where the batch size changes",
                )
        return TemporalState({name: memory.cleared(starts) for name, memory in self.memories.items()})

    def get(self, stage: str) -> Memory | None:
        return self.memories.get(stage)

    def with_memory(self, stage: str, memory: Memory | None) -> TemporalState:
        """A state in which `stage` remembers `memory` (or nothing), detached."""
        memories = dict(self.memories)
        if memory is None:
            memories.pop(stage, None)
        else:
            memories[stage] = memory.detach()
        return TemporalState(memories)

    def to(self, device: torch.device | str) -> TemporalState:
        return TemporalState({name: memory.to(device) for name, memory in self.memories.items()})

    def state_dict(self) -> dict[str, dict[str, Any]]:
        """Plain dicts of tensors, loadable with `torch.load(weights_only=True)`."""
        return {name: _plain(memory) for name, memory in self.memories.items()}

    @classmethod
    def from_state_dict(cls, state: dict[str, dict[str, Any]]) -> TemporalState:
        """Inverse of :meth:`state_dict`; the memory classes must have been imported (built) before."""
        return cls({name: _memory(fields) for name, fields in state.items()})


def _plain(memory: Memory) -> dict[str, Any]:
    """The fields of a memory and the name of its class; a memory inside of it is a dict too."""
    fields = {f.name: getattr(memory, f.name) for f in dataclasses.fields(memory)}
    plain = {name: _plain(value) if isinstance(value, Memory) else value for name, value in fields.items()}
    return {"kind": type(memory).__name__, **plain}


def _memory(plain: dict[str, Any]) -> Memory:
    """Inverse of :func:`_plain`."""
    values: dict[str, Any] = {k: _memory(v) if isinstance(v, dict) else v for k, v in plain.items() if k != "kind"}
    return Memory.kinds[plain["kind"]](**values)
