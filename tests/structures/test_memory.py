"""TemporalState: one rule for when a lane starts anew, and a lossless round trip through a file."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mmdet3d_plugin.errors import StreamError
from mmdet3d_plugin.structures import FrameMeta, Memory, TemporalState


@dataclass
class TrailMemory(Memory):
    features: Tensor
    note: Tensor | None = None


@dataclass
class TwoPartMemory(Memory):
    part: TrailMemory
    other: TrailMemory | None = None


def meta(starts: list[bool]) -> FrameMeta:
    lanes = len(starts)
    return FrameMeta(
        sequence_id=torch.arange(lanes),
        starts_sequence=torch.tensor(starts),
        prev_from_ego=torch.eye(4).repeat(lanes, 1, 1),
        time=torch.zeros(lanes, dtype=torch.float64),
        token=tuple(map(str, range(lanes))),
    )


def memory(lanes: int = 3) -> TrailMemory:
    return TrailMemory(torch.arange(lanes) + 5, torch.randn(lanes, 2))


@settings(deadline=None)
@given(starts=st.lists(st.booleans(), min_size=1, max_size=6))
def test_enter_clears_the_lanes_that_start_and_no_others(starts):
    before = TemporalState({"temporal": memory(len(starts)), "head": memory(len(starts))})
    after = before.enter(meta(starts))
    for stage in ("temporal", "head"):
        age = [0 if start else i + 5 for i, start in enumerate(starts)]
        assert after.get(stage).age.tolist() == age
        assert torch.equal(after.get(stage).features, before.get(stage).features)
        assert before.get(stage).age.tolist() == [i + 5 for i in range(len(starts))]  # not changed in place


def test_another_number_of_lanes_is_refused():
    state = TemporalState({"temporal": memory(3)})
    with pytest.raises(StreamError, match=r"(?s)'temporal' is of another batch size.*3 lanes, images of 2"):
        state.enter(meta([False, False]))


def test_an_empty_state_enters_any_frame():
    assert TemporalState().enter(meta([True, False])).get("temporal") is None


def test_memories_are_detached_and_replaced_without_side_effects():
    features = torch.randn(2, 2, requires_grad=True) * 2
    first = TemporalState().with_memory("temporal", TrailMemory(torch.ones(2).long(), features))
    assert not first.get("temporal").features.requires_grad
    second = first.with_memory("temporal", None)
    assert second.get("temporal") is None
    assert first.get("temporal") is not None


def test_moves_between_devices():
    moved = TemporalState({"temporal": memory()}).to("meta")
    assert moved.get("temporal").features.device.type == "meta"


def test_round_trip_through_a_file(tmp_path):
    state = TemporalState({"temporal": memory(), "head": TrailMemory(torch.zeros(3).long(), torch.ones(3, 1))})
    torch.save(state.state_dict(), tmp_path / "state.pth")
    loaded = TemporalState.from_state_dict(torch.load(tmp_path / "state.pth", weights_only=True))
    assert set(loaded.memories) == {"temporal", "head"}
    for stage, original in state.memories.items():
        restored = loaded.get(stage)
        assert type(restored) is TrailMemory
        assert torch.equal(restored.age, original.age)
        assert torch.equal(restored.features, original.features)
        assert restored.note is None


def test_a_field_of_another_shape_is_named_with_both_shapes():
    memory(3).require_shape("features", (3, 2), "Toy")
    with pytest.raises(StreamError, match=r"(?s)memory of Toy.*`features`.*\(3, 2\).*\(3, 4\)"):
        memory(3).require_shape("features", (3, 4), "Toy")


def test_memories_inside_of_a_memory_are_cleared_and_restored_with_it(tmp_path):
    state = TemporalState({"temporal": TwoPartMemory(torch.tensor([4, 4]), memory(2))}).enter(meta([False, True]))
    assert state.get("temporal").age.tolist() == [4, 0]
    assert state.get("temporal").part.age.tolist() == [5, 0]
    torch.save(state.state_dict(), tmp_path / "state.pth")
    restored = TemporalState.from_state_dict(torch.load(tmp_path / "state.pth", weights_only=True)).get("temporal")
    assert type(restored) is TwoPartMemory
    assert type(restored.part) is TrailMemory
    assert torch.equal(restored.part.features, state.get("temporal").part.features)
    assert restored.other is None
