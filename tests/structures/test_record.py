"""TensorRecord: fields move, detach and index together."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mmdet3d_plugin.structures import CameraRig, OccOutput, OccPrediction, TensorRecord, VoxelGrid


@dataclass
class Leaf(TensorRecord):
    values: Tensor


@dataclass
class Tree(TensorRecord):
    leaf: Leaf
    leaves: tuple[Leaf, ...]
    precise: Tensor
    count: Tensor
    token: tuple[str, ...]
    origins: tuple[Tensor, ...]
    grid: VoxelGrid
    by_name: dict[str, Tensor]
    absent: Tensor | None = None


def tree(batch: int = 4) -> Tree:
    return Tree(
        Leaf(torch.arange(float(batch), requires_grad=True) * 1),
        (Leaf(torch.arange(float(batch)) + 10), Leaf(torch.arange(float(batch)) + 20)),
        torch.arange(batch, dtype=torch.float64),
        torch.arange(batch),
        tuple(f"sample {i}" for i in range(batch)),
        tuple(torch.full((i + 1, 3), float(i)) for i in range(batch)),
        VoxelGrid((0, 0, 0), (1, 1, 1), (1, 1, 1)),
        {"a": torch.arange(float(batch))},
    )


indices = st.one_of(
    st.integers(-4, 3),
    st.slices(4),
    st.lists(st.integers(0, 3), max_size=6).map(lambda values: torch.tensor(values, dtype=torch.int64)),
    st.lists(st.booleans(), min_size=4, max_size=4).map(torch.tensor),
)


@settings(deadline=None)
@given(index=indices)
def test_indexing_selects_the_same_samples_everywhere(index):
    if isinstance(index, slice) and (index.step or 1) < 0:
        return  # torch has no negative steps
    chosen = tree()[index]
    kept = torch.arange(4)[index].reshape(-1).tolist()
    assert chosen.count.tolist() == kept
    assert chosen.leaf.values.tolist() == kept
    assert chosen.leaves[1].values.tolist() == [20 + i for i in kept]
    assert chosen.token == tuple(f"sample {i}" for i in kept)
    assert [len(origin) for origin in chosen.origins] == [i + 1 for i in kept]
    assert chosen.by_name["a"].tolist() == kept
    assert chosen.grid is not None
    assert chosen.absent is None


def test_a_dtype_leaves_precise_and_integer_fields_alone():
    half = tree().to(dtype=torch.bfloat16)
    assert half.leaf.values.dtype == half.leaves[0].values.dtype == half.origins[0].dtype == torch.bfloat16
    assert half.precise.dtype == torch.float64
    assert half.count.dtype == torch.int64


def test_moves_to_a_device_with_everything_nested():
    meta = tree().to("meta")
    tensors = [meta.leaf.values, meta.leaves[0].values, meta.count, meta.origins[3], meta.by_name["a"]]
    assert all(tensor.device.type == "meta" for tensor in tensors)


def test_detach_and_clone():
    record = tree()
    assert record.leaf.values.requires_grad
    assert not record.detach().leaf.values.requires_grad
    copy = record.clone()
    copy.count += 1
    assert record.count.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("index", [1, slice(0, 2), torch.tensor([True, False, True])])
def test_shared_fields_are_not_indexed(index):
    output = OccOutput(OccPrediction(torch.randn(3, 5, 1, 2, 2), prototypes=torch.randn(5, 7)))
    chosen = output[index]
    assert chosen.prediction.prototypes.shape == (5, 7)
    assert chosen.prediction.logits.shape[0] == len(torch.arange(3)[index].reshape(-1))
    assert output.to("meta").prediction.prototypes.device.type == "meta"


def test_pin_memory_pins_every_tensor(monkeypatch):
    pinned = []
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda self: pinned.append(self) or self)
    record = CameraRig(*(torch.eye(4)[None] for _ in range(4)))
    record.pin_memory()
    assert len(pinned) == 4
