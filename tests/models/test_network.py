"""The pure network: five stages, state in, state out."""

from __future__ import annotations

import pytest
import torch

from mmdet3d_plugin.config import load_config
from mmdet3d_plugin.errors import StreamError
from mmdet3d_plugin.models.protocols import DepthGuidance, Guidance
from mmdet3d_plugin.parity import find_config, recipe
from mmdet3d_plugin.registry import MODELS
from mmdet3d_plugin.structures import TemporalState

SIZE = (64, 96)


@pytest.fixture(scope="module")
def network():
    cfg = load_config(find_config("alocc_2d_mini_tiny")).model.network
    for stage in (cfg.view_transformer, cfg.temporal):
        stage.grid.shape = (24, 24, 1)
    torch.manual_seed(0)
    return MODELS.build(cfg).eval()


@torch.no_grad()
def run(network, frames):
    state, outputs = TemporalState(), []
    for frame in frames:
        output, state = network(frame, state)
        outputs.append(output)
    return outputs, state


def test_state_carries_the_past_and_the_network_keeps_none(network):
    frames = [recipe.frame(t, SIZE, seed=1) for t in range(2)]
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    first, state = run(network, frames)
    again, _ = run(network, frames)
    assert torch.equal(first[1].prediction.logits, again[1].prediction.logits)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert list(state.memories) == ["temporal"]
    assert state.get("temporal").age.tolist() == [2]
    alone, _ = network(frames[1], TemporalState())
    assert not torch.allclose(alone.prediction.logits, first[1].prediction.logits)


def test_a_lane_that_starts_a_sequence_forgets_and_its_neighbour_does_not(network):
    frames = [recipe.frame(t, SIZE, seed=1, batch=2) for t in range(2)]
    continued, _ = run(network, frames)
    frames[1].meta.starts_sequence = torch.tensor([True, False])
    restarted, state = run(network, frames)
    assert state.get("temporal").age.tolist() == [1, 2]
    fresh, _ = network(frames[1][0], TemporalState())
    torch.testing.assert_close(restarted[1].prediction.logits[:1], fresh.prediction.logits, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(
        restarted[1].prediction.logits[1:], continued[1].prediction.logits[1:], atol=1e-5, rtol=1e-4
    )


def test_lanes_do_not_see_each_other(network):
    both = [recipe.frame(t, SIZE, seed=1, batch=2) for t in range(2)]
    together, _ = run(network, both)
    for lane in range(2):
        alone, _ = run(network, [frame[lane] for frame in both])
        torch.testing.assert_close(
            together[1].prediction.logits[lane : lane + 1], alone[1].prediction.logits, atol=1e-5, rtol=1e-4
        )


def test_another_number_of_lanes_needs_a_new_stream(network):
    _, state = run(network, [recipe.frame(0, SIZE, seed=1)])
    with pytest.raises(StreamError, match="another batch size"):
        network(recipe.frame(1, SIZE, seed=1, batch=2), state)


def test_guidance_changes_the_volume_but_not_the_supervised_depth(network):
    frame = recipe.frame(0, SIZE, seed=1)
    guidance = Guidance(depth=DepthGuidance(torch.full((1, 6, *SIZE), 5.5), torch.tensor(1.0)))
    plain, _ = network(frame, TemporalState())
    guided, _ = network(frame, TemporalState(), guidance)
    torch.testing.assert_close(guided.aux.depth, plain.aux.depth)
    assert not torch.allclose(guided.prediction.logits, plain.prediction.logits)
