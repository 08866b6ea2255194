"""What a stage remembers from one frame of a stream to the next."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

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

    def cleared(self, lanes: Tensor) -> Memory:
        """The same memory with `age` set to 0 where `lanes` ([B] bool) is True."""
        return dataclasses.replace(self, age=self.age.masked_fill(lanes, 0))


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
            ValueError: a memory holds another number of lanes than the frame.
        """
        starts = meta.starts_sequence
        for name, memory in self.memories.items():
            if memory.age.shape[0] != starts.shape[0]:
                raise ValueError(
                    f"the memory of stage {name!r} holds {memory.age.shape[0]} lanes, "
                    f"the frame has {starts.shape[0]}; start a new stream when the batch size changes"
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
        return {
            name: {
                "kind": type(memory).__name__,
                **{f.name: getattr(memory, f.name) for f in dataclasses.fields(memory)},
            }
            for name, memory in self.memories.items()
        }

    @classmethod
    def from_state_dict(cls, state: dict[str, dict[str, Any]]) -> TemporalState:
        """Inverse of :meth:`state_dict`; the memory classes must have been imported (built) before."""
        return cls(
            {
                name: Memory.kinds[fields["kind"]](**{k: v for k, v in fields.items() if k != "kind"})
                for name, fields in state.items()
            }
        )
