"""RecurrentFusion: time codes, what is passed on and what is remembered (spec/04 section 4.3)."""

from __future__ import annotations

import math

import pytest
import torch
from streams import BEV, VOXELS, random_features

from mmdet3d_plugin.models.temporal import RecurrentFusion
from mmdet3d_plugin.models.temporal.voxel_memory import time_code

CHANNELS = 4


def make_fusion(grid=VOXELS) -> RecurrentFusion:
    torch.manual_seed(0)
    fusion = RecurrentFusion(CHANNELS, grid.is_bev)
    for norm in (fusion.time_norm, fusion.fuse_norm):
        torch.nn.init.normal_(norm.running_mean, std=0.2)
        torch.nn.init.uniform_(norm.running_var, 0.5, 2.0)
        torch.nn.init.normal_(norm.bias, std=0.2)
    return fusion


def test_time_code_is_interleaved_sines_and_cosines():
    code = time_code(torch.tensor([0.0, 1.5]), CHANNELS)
    assert code[0].tolist() == [0.0, 1.0, 0.0, 1.0]
    expected = [math.sin(1.5), math.cos(1.5), math.sin(1.5 / 100), math.cos(1.5 / 100)]
    assert code[1].tolist() == pytest.approx(expected)


@pytest.mark.parametrize("grid", [BEV, VOXELS])
def test_equals_its_definition(grid):
    fusion = make_fusion(grid).train()
    current, past = random_features(grid, CHANNELS, 2), random_features(grid, CHANNELS, 2, seed=1)
    age = torch.tensor([3, 7])
    out, memory = fusion(current, past, age)

    def embedded(n):
        return fusion.time_embedding(time_code(0.5 * n, CHANNELS))[:, :, None, None, None]

    frames = torch.cat((current + embedded(age), past + embedded(age - 1)))
    frames = frames.squeeze(2) if grid.is_bev else frames
    timed = torch.relu(fusion.time_norm(fusion.time_conv(frames)))
    fused = torch.relu(fusion.fuse_norm(fusion.fuse_conv(torch.cat(timed.chunk(2), dim=1))))
    torch.testing.assert_close(out, fused.view_as(current))
    assert torch.equal(memory.features, out)
    assert memory.age.tolist() == [4, 8]


@pytest.mark.parametrize("grid", [BEV, VOXELS])
def test_evaluation_without_gradient_gives_the_same(grid):
    fusion = make_fusion(grid).eval()
    current, past = random_features(grid, CHANNELS, 2), random_features(grid, CHANNELS, 2, seed=1)
    age = torch.tensor([0, 5])
    expected, _ = fusion(current, past, age)
    with torch.no_grad():
        found, _ = fusion(current, past, age)
    torch.testing.assert_close(found, expected)


def test_a_new_lane_passes_the_present_on_and_remembers_its_fusion():
    fusion = make_fusion()
    current, past = random_features(VOXELS, CHANNELS, 2), random_features(VOXELS, CHANNELS, 2, seed=1)
    out, memory = fusion(current, past, torch.tensor([0, 1]))
    assert torch.equal(out[0], current[0])
    assert not torch.equal(memory.features[0], current[0])
    assert torch.equal(out[1], memory.features[1])


def test_every_parameter_has_a_gradient_when_all_lanes_are_new():
    fusion = make_fusion()
    current = random_features(VOXELS, CHANNELS).requires_grad_()
    out, _ = fusion(current, current.detach(), torch.zeros(1, dtype=torch.int64))
    out.square().sum().backward()
    torch.testing.assert_close(current.grad, 2 * current.detach())
    for name, parameter in fusion.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() == 0, name


def test_first_frame_after_the_start_is_no_older_than_the_start():
    """The time of the past is max(n - 1, 0): frames 0 and 1 see a past of time 0."""
    codes = []
    fusion = make_fusion()
    fusion.time_embedding.register_forward_hook(lambda module, inputs, output: codes.append(inputs[0]))
    x = random_features(VOXELS, CHANNELS)
    for age in (0, 1):
        fusion(x, x, torch.tensor([age]))
    torch.testing.assert_close(codes[0][1], codes[1][1])
    torch.testing.assert_close(codes[1][0], time_code(torch.tensor([0.5]), CHANNELS)[0])
