"""ConcatHistory: what it remembers, where it puts it, and how old it says it is (spec/04 section 4.2)."""

from __future__ import annotations

import math

import pytest
import torch

from mmdet3d_plugin.errors import ConfigError, StreamError
from mmdet3d_plugin.models.temporal import ConcatHistory, NoFusion
from mmdet3d_plugin.structures import CameraRig, Frame, FrameMeta, TemporalState, Volume, VoxelGrid

CHANNELS, FRAMES = 2, 3
BEV = VoxelGrid((-4.0, -3.0, -1.0), (4.0, 3.0, 3.0), (8, 6, 1))
VOXELS = VoxelGrid((-4.0, -3.0, -1.0), (4.0, 3.0, 3.0), (8, 6, 4))


def make_frame(
    shift: tuple[float, float] = (0.0, 0.0),
    starts: tuple[bool, ...] = (False,),
    grid_from_ego: torch.Tensor | None = None,
) -> Frame:
    """A frame without cameras whose ego vehicle moved by `shift` metres (x, y) since the one before."""
    lanes = len(starts)
    prev_from_ego = torch.eye(4).repeat(lanes, 1, 1)
    prev_from_ego[:, 0, 3], prev_from_ego[:, 1, 3] = shift
    scene = torch.eye(4).repeat(lanes, 1, 1) if grid_from_ego is None else grid_from_ego
    none = torch.zeros(lanes, 0, 4, 4)
    rig = CameraRig(none, none[..., :3, :3], none[..., :3, :3], scene)
    lane = torch.arange(lanes)
    meta = FrameMeta(lane, torch.tensor(starts), prev_from_ego, lane.double(), ("t",) * lanes)
    return Frame(torch.zeros(lanes, 0, 3, 4, 4), rig, meta)


def make_stage(grid: VoxelGrid = BEV, **options: object) -> ConcatHistory:
    torch.manual_seed(0)
    return ConcatHistory(CHANNELS, grid, FRAMES, **options)  # type: ignore[arg-type]


def features(grid: VoxelGrid, lanes: int = 1, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(lanes, CHANNELS, *grid.zyx, generator=generator)


@pytest.mark.parametrize("grid", [BEV, VOXELS])
def test_window_starts_with_copies_of_age_zero(grid: VoxelGrid) -> None:
    stage, x = make_stage(grid), features(grid)
    out, memory = stage(Volume(x, grid), make_frame(starts=(True,)), None)
    assert out.features.shape == x.shape
    torch.testing.assert_close(memory.features, x.repeat(1, FRAMES, 1, 1, 1))
    assert memory.frame_ages.tolist() == [[0.0] * FRAMES]
    assert memory.age.tolist() == [1]


@pytest.mark.parametrize("grid", [BEV, VOXELS])
def test_resting_vehicle_keeps_the_past_where_it_is(grid: VoxelGrid) -> None:
    stage = make_stage(grid)
    inputs = [features(grid, seed=i) for i in range(FRAMES + 2)]
    memory = None
    for i, x in enumerate(inputs):
        _, memory = stage(Volume(x, grid), make_frame(starts=(i == 0,)), memory)
    newest_first = torch.cat(inputs[: -FRAMES - 1 : -1], dim=1)
    torch.testing.assert_close(memory.features, newest_first, atol=1e-5, rtol=0)
    assert memory.frame_ages.tolist() == [[0.0, 1.0, 2.0]]


def test_copies_age_with_their_sequence() -> None:
    stage, x = make_stage(), features(BEV)
    memory = None
    ages = []
    for i in range(3):
        _, memory = stage(Volume(x, BEV), make_frame(starts=(i == 0,)), memory)
        ages.append(memory.frame_ages[0].tolist())
    assert ages == [[0.0, 0.0, 0.0], [0.0, 1.0, 1.0], [0.0, 1.0, 2.0]]


@pytest.mark.parametrize("anchor", ["center", "corner"])
@pytest.mark.parametrize("cells", [1, 3, -2])
def test_driving_k_voxels_forward_shifts_the_past_k_voxels_back(anchor: str, cells: int) -> None:
    stage, x = make_stage(VOXELS, anchor=anchor), features(VOXELS)
    _, memory = stage(Volume(x, VOXELS), make_frame(starts=(True,)), None)
    _, memory = stage(Volume(x, VOXELS), make_frame(shift=(cells * 1.0, 0.0)), memory)
    past = memory.features[:, CHANNELS : 2 * CHANNELS]
    expected = torch.roll(x, -cells, dims=-1)
    unseen = slice(-cells, None) if cells > 0 else slice(0, -cells)
    expected[..., unseen] = 0
    torch.testing.assert_close(past, expected, atol=1e-5, rtol=0)


def test_flip_of_one_frame_is_undone_when_indices_are_centres() -> None:
    flip = torch.diag(torch.tensor([1.0, -1.0, 1.0, 1.0]))[None]
    stage, x = make_stage(), features(BEV)
    _, memory = stage(Volume(x.flip(-2), BEV), make_frame(starts=(True,), grid_from_ego=flip), None)
    _, memory = stage(Volume(x, BEV), make_frame(), memory)
    torch.testing.assert_close(memory.features[:, CHANNELS : 2 * CHANNELS], x, atol=1e-5, rtol=0)


def test_start_of_a_sequence_resets_only_its_lane() -> None:
    stage, x, y = make_stage(), features(BEV, 2), features(BEV, 2, seed=1)
    state = TemporalState()
    _, memory = stage(Volume(x, BEV), make_frame(starts=(True, True)), state.get("temporal"))
    state = state.with_memory("temporal", memory)
    frame = make_frame(starts=(False, True))
    _, memory = stage(Volume(y, BEV), frame, state.enter(frame.meta).get("temporal"))
    torch.testing.assert_close(memory.features[0, CHANNELS:], x[0].repeat(FRAMES - 1, 1, 1, 1))
    torch.testing.assert_close(memory.features[1], y[1].repeat(FRAMES, 1, 1, 1))
    assert memory.frame_ages.tolist() == [[0.0, 1.0, 1.0], [0.0, 0.0, 0.0]]


def test_lanes_do_not_see_each_other() -> None:
    stage = make_stage().eval()
    x, y = features(BEV, 2), features(BEV, 2, seed=1)
    _, memory = stage(Volume(x, BEV), make_frame(starts=(True, True)), None)
    both, _ = stage(Volume(y, BEV), make_frame(shift=(0.3, 0.1), starts=(False, False)), memory)
    alone, _ = stage(Volume(y[1:], BEV), make_frame(shift=(0.3, 0.1)), memory[1])
    torch.testing.assert_close(both.features[1:], alone.features)


def test_forgotten_history_is_moved_and_aged_only_as_published() -> None:
    x = features(VOXELS)
    driving = make_frame(shift=(1.0, 0.0))
    _, corrected = make_stage(VOXELS)(Volume(x, VOXELS), driving, None)
    _, published = make_stage(VOXELS, warp_initial_copies=True)(Volume(x, VOXELS), driving, None)
    torch.testing.assert_close(corrected.features[:, -CHANNELS:], x)
    torch.testing.assert_close(published.features[:, -CHANNELS:, ..., :-1], x[..., 1:], atol=1e-5, rtol=0)
    assert published.features[:, -CHANNELS:, ..., -1].abs().max() < 1e-5
    assert corrected.frame_ages.tolist() == [[0.0, 0.0, 0.0]]
    assert published.frame_ages.tolist() == [[0.0, 1.0, 1.0]]


def test_start_of_a_sequence_is_no_forgotten_history() -> None:
    x = features(VOXELS)
    _, memory = make_stage(VOXELS, warp_initial_copies=True)(Volume(x, VOXELS), make_frame(starts=(True,)), None)
    torch.testing.assert_close(memory.features, x.repeat(1, FRAMES, 1, 1, 1))
    assert memory.frame_ages.tolist() == [[0.0] * FRAMES]


def test_time_channel_is_half_a_second_per_frame() -> None:
    """With weights that pass only the age of the oldest frame, the output is that age in seconds."""
    stage = make_stage().eval()
    with torch.no_grad():
        for parameter in stage.parameters():
            parameter.zero_()
        stage.time_conv.weight[:, -1] = 1.0
        stage.fuse_conv.weight[:, -CHANNELS:] = 1.0 / CHANNELS
        stage.time_norm.weight.fill_(math.sqrt(1 + stage.time_norm.eps))
        stage.fuse_norm.weight.fill_(math.sqrt(1 + stage.fuse_norm.eps))
    memory, seconds = None, []
    for i in range(4):
        out, memory = stage(Volume(features(BEV, seed=i), BEV), make_frame(starts=(i == 0,)), memory)
        seconds.append(out.features.mean().item())
        assert out.features.std() < 1e-6
    assert seconds == pytest.approx([0.0, 0.5, 1.0, 1.5], abs=1e-5)


@pytest.mark.parametrize("grid", [BEV, VOXELS])
def test_equals_the_convolution_with_an_explicit_age_channel(grid: VoxelGrid) -> None:
    stage = make_stage(grid).train()
    inputs = [features(grid, seed=i) for i in range(2)]
    _, memory = stage(Volume(inputs[0], grid), make_frame(starts=(True,)), None)
    out, _ = stage(Volume(inputs[1], grid), make_frame(), memory)
    planes = []
    for age, x in zip((0.0, 1.0, 1.0, 1.0), (inputs[1], *[inputs[0]] * FRAMES)):
        planes.append(torch.cat((x, torch.full_like(x[:, :1], 0.5 * age)), dim=1))
    frames = torch.cat(planes)
    if grid.is_bev:
        frames = frames.squeeze(2)
    timed = torch.relu(stage.time_norm(stage.time_conv(frames)))
    expected = torch.relu(stage.fuse_norm(stage.fuse_conv(timed.flatten(0, 1)[None])))
    torch.testing.assert_close(out.features.flatten(), expected.flatten(), atol=1e-5, rtol=1e-5)


def test_gradient_reaches_the_current_frame_and_not_the_past() -> None:
    stage = make_stage()
    x, y = features(BEV).requires_grad_(), features(BEV, seed=1).requires_grad_()
    _, memory = stage(Volume(x, BEV), make_frame(starts=(True,)), None)
    assert not memory.features.requires_grad
    out, _ = stage(Volume(y, BEV), make_frame(), memory)
    out.features.square().sum().backward()
    assert x.grad is None
    assert y.grad.abs().sum() > 0
    assert stage.time_conv.weight.grad.abs().sum() > 0


def test_checkpointing_changes_neither_gradients_nor_statistics() -> None:
    results = []
    for checkpointing in (False, True):
        stage = make_stage(activation_checkpointing=checkpointing).train()
        x = features(BEV).requires_grad_()
        out, _ = stage(Volume(x, BEV), make_frame(starts=(True,)), None)
        out.features.square().sum().backward()
        results.append((x.grad, stage.fuse_conv.weight.grad, *stage.buffers()))
    for plain, recomputed in zip(*results):
        torch.testing.assert_close(plain, recomputed)


def test_memory_survives_a_checkpoint() -> None:
    stage, x = make_stage(), features(BEV)
    _, memory = stage(Volume(x, BEV), make_frame(starts=(True,)), None)
    state = TemporalState().with_memory("temporal", memory)
    restored = TemporalState.from_state_dict(state.state_dict()).get("temporal")
    assert type(restored) is type(memory)
    torch.testing.assert_close(restored.features, memory.features)


def test_refuses_a_volume_over_another_grid() -> None:
    with pytest.raises(ConfigError, match="ConcatHistory"):
        make_stage(BEV)(Volume(features(VOXELS), VOXELS), make_frame(starts=(True,)), None)


def test_refuses_a_memory_of_another_grid() -> None:
    _, memory = make_stage(VOXELS)(Volume(features(VOXELS), VOXELS), make_frame(starts=(True,)), None)
    with pytest.raises(StreamError, match="ConcatHistory"):
        make_stage(BEV)(Volume(features(BEV), BEV), make_frame(), memory)


def test_no_fusion_passes_on() -> None:
    volume = Volume(features(BEV), BEV)
    out, memory = NoFusion()(volume, make_frame(), None)
    assert out is volume
    assert memory is None
