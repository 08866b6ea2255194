"""SceneAdapter: its written-out gradient step against autograd, and what it remembers (spec/04 section 4.5)."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mmdet3d_plugin.models.temporal import scene_memory
from mmdet3d_plugin.models.temporal.scene_memory import SceneAdapter, SceneMemory, Theta

CHANNELS, ZYX = 5, (2, 3, 4)


def make_adapter(**options: bool) -> SceneAdapter:
    torch.manual_seed(1)
    adapter = SceneAdapter(CHANNELS, **options).double()
    with torch.no_grad():
        for parameter in adapter.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return adapter


def make_volume(lanes: int = 2, seed: int = 0) -> Tensor:
    return torch.randn(lanes, CHANNELS, *ZYX, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def layer(x: Tensor, theta: Theta) -> Tensor:
    """LayerNorm over channels of W x + b, by PyTorch, for one lane: x [C, K]."""
    h = (theta.weight @ x + theta.bias).T
    norm = torch.nn.functional.layer_norm(h, h.shape[1:], eps=1e-6).T
    return norm * theta.scale + theta.shift


def by_autograd(adapter: SceneAdapter, volume: Tensor, learned: list[Theta]) -> tuple[Tensor, list[Theta]]:
    """The definition, lane by lane, with the step taken by autograd (create_graph)."""
    outputs, steps = [], []
    for x, delta in zip(volume.flatten(2), learned):
        initial = Theta(adapter.weight[0], adapter.bias[0], adapter.scale[0], adapter.shift[0])
        theta = initial.plus(delta)
        q, k, v = (projection.weight @ x for projection in (adapter.query, adapter.key, adapter.value))
        loss = (layer(k, theta) - (v - k)).square().mean()
        parts = (theta.weight, theta.bias, theta.scale, theta.shift)
        step = Theta(*torch.autograd.grad(loss, parts, create_graph=True))
        outputs.append(layer(q, theta.plus(step, -1.0)) + q)
        steps.append(delta.plus(step.detach(), -1.0))
    return torch.stack(outputs).view_as(volume), steps


def no_deltas(lanes: int) -> list[Theta]:
    vector = torch.zeros(CHANNELS, 1, dtype=torch.float64)
    return [Theta(torch.zeros(CHANNELS, CHANNELS, dtype=torch.float64), vector, vector, vector)] * lanes


def test_two_frames_equal_autograd_in_output_and_memory():
    adapter, learned, memory = make_adapter(), no_deltas(2), None
    for seed in range(2):
        volume = make_volume(seed=seed)
        expected, learned = by_autograd(adapter, volume, learned)
        found, memory = adapter(volume, memory)
        torch.testing.assert_close(found, expected)
        for name in ("weight", "bias", "scale", "shift"):
            stored = torch.stack([getattr(lane, name) for lane in learned])
            torch.testing.assert_close(getattr(memory, name), stored)
            assert stored.abs().max() > 1e-3
    assert memory.age.tolist() == [2, 2]


def test_gradients_through_the_step_equal_autograd():
    """They are second derivatives of the inner loss."""
    adapter, volume = make_adapter(), make_volume().requires_grad_()
    weights = torch.randn_like(volume)
    inputs = [volume, *adapter.parameters()]
    expected = torch.autograd.grad((by_autograd(adapter, volume, no_deltas(2))[0] * weights).sum(), inputs)
    found = torch.autograd.grad((adapter(volume, None)[0] * weights).sum(), inputs)
    for ours, theirs in zip(found, expected):
        torch.testing.assert_close(ours, theirs)
        assert theirs.abs().max() > 1e-6


def test_gradcheck():
    adapter, volume = make_adapter(), make_volume(1)[..., :2, :2].contiguous().requires_grad_()
    names = [name for name, _ in adapter.named_parameters()]
    values = [parameter.detach().clone().requires_grad_() for parameter in adapter.parameters()]

    def function(x: Tensor, *parameters: Tensor) -> Tensor:
        return torch.func.functional_call(adapter, dict(zip(names, parameters)), (x, None))[0]

    assert torch.autograd.gradcheck(function, (volume, *values))


def test_carried_changes_are_constants():
    adapter, volume = make_adapter(), make_volume()
    _, memory = adapter(volume, None)
    assert not any(getattr(memory, name).requires_grad for name in ("weight", "bias", "scale", "shift"))


def test_the_norm_is_forgotten_only_as_published():
    volume = make_volume()
    _, corrected = make_adapter()(volume, None)
    _, published = make_adapter(remember_norm=False)(volume, None)
    torch.testing.assert_close(corrected.weight, published.weight)
    assert corrected.scale.abs().min() > 0
    assert published.scale.abs().max() == published.shift.abs().max() == 0
    ours, _ = make_adapter()(volume, None)
    theirs, _ = make_adapter(remember_norm=False)(volume, None)
    torch.testing.assert_close(ours, theirs)  # in the frame of the step both use it


def test_a_new_lane_starts_from_the_initial_values_and_others_go_on():
    adapter, first, second = make_adapter(), make_volume(), make_volume(seed=1)
    _, memory = adapter(first, None)
    out, memory = adapter(second, memory.cleared(torch.tensor([True, False])))
    fresh, _ = adapter(second, None)
    torch.testing.assert_close(out[0], fresh[0])
    assert (out[1] - fresh[1]).abs().max() > 1e-4
    assert memory.age.tolist() == [1, 2]


def test_stale_values_of_a_cleared_lane_do_not_leak_even_if_they_are_not_finite():
    adapter = make_adapter()
    nan = torch.full((1, CHANNELS, 1), torch.nan, dtype=torch.float64)
    stale = SceneMemory(torch.zeros(1, dtype=torch.int64), nan.expand(-1, -1, CHANNELS), nan, nan, nan)
    out, _ = adapter(make_volume(1), stale)
    torch.testing.assert_close(out, adapter(make_volume(1), None)[0])


@torch.no_grad()
def test_evaluation_in_parts_gives_the_same(monkeypatch: pytest.MonkeyPatch):
    adapter, volume = make_adapter(), make_volume()
    whole, memory = adapter(volume, None)
    monkeypatch.setattr(scene_memory, "_CELLS", 7)
    parts, other = adapter(volume, None)
    torch.testing.assert_close(parts, whole)
    torch.testing.assert_close(other.weight, memory.weight)


def test_bias_of_the_layer_before_the_norm_is_centred():
    """A constant added to all channels of b changes nothing: the norm takes it away."""
    adapter, volume = make_adapter(), make_volume()
    before, _ = adapter(volume, None)
    with torch.no_grad():
        adapter.bias += 3.0
    torch.testing.assert_close(adapter(volume, None)[0], before)
