"""GDFusion: each memory by itself and together, over maps and volumes (spec/04 sections 4.1, 4.3 to 4.5)."""

from __future__ import annotations

import itertools

import pytest
import torch
from streams import BEV, VOXELS, moved_frame, random_features
from streams import GDFUSION_PARTS as PARTS

from mmdet3d_plugin.errors import ConfigError, StreamError
from mmdet3d_plugin.models.temporal import GDFusion
from mmdet3d_plugin.registry import MODELS
from mmdet3d_plugin.structures import TemporalState, Volume, VoxelGrid

CHANNELS = 4
POSSIBLE = [
    names
    for size in (1, 2, 3)
    for names in itertools.combinations(PARTS, size)
    if "voxel" in names or "motion" not in names
]


def make_fuser(grid: VoxelGrid = VOXELS, parts: tuple[str, ...] = tuple(PARTS), **options: object) -> GDFusion:
    torch.manual_seed(0)
    chosen = {name: PARTS[name] for name in parts}
    return MODELS.build(dict(type="GDFusion", channels=CHANNELS, grid=grid, **chosen, **options))


def sees_the_past(fuser: GDFusion) -> list[torch.Tensor]:
    """A list that receives what the voxel fusion is given as the past."""
    seen: list[torch.Tensor] = []
    fuser.voxel.register_forward_hook(lambda module, inputs, output: seen.append(inputs[1]))
    return seen


@pytest.mark.parametrize("grid", [BEV, VOXELS], ids=["map", "volume"])
@pytest.mark.parametrize("parts", POSSIBLE, ids="+".join)
def test_every_choice_of_memories_builds_and_runs_two_frames(grid, parts):
    fuser, memory = make_fuser(grid, parts), None
    for i in range(2):
        volume = Volume(random_features(grid, CHANNELS, 2, seed=i).requires_grad_(), grid)
        out, memory = fuser(volume, moved_frame((0.4, 0.1, 0.0), (i == 0, i == 0)), memory)
        assert out.features.shape == volume.features.shape
        assert {name for name in PARTS if getattr(memory, name) is not None} == set(parts)
        assert memory.age.tolist() == [i + 1] * 2
    out.features.square().sum().backward()
    assert volume.features.grad.abs().max() > 0
    assert all(p.grad is not None for p in fuser.parameters())


@pytest.mark.parametrize("parts", [("motion",), ("motion", "scene")])
def test_motion_without_voxels_is_refused(parts):
    with pytest.raises(ConfigError, match="motion memory but no voxel memory"):
        make_fuser(parts=parts)


def test_no_memory_at_all_is_refused():
    with pytest.raises(ConfigError, match="NoFusion"):
        make_fuser(parts=())


def test_another_grid_is_refused():
    with pytest.raises(ConfigError, match="GDFusion"):
        make_fuser(BEV)(Volume(random_features(VOXELS, CHANNELS), VOXELS), moved_frame(), None)


@pytest.mark.parametrize("grid", [BEV, VOXELS], ids=["map", "volume"])
@pytest.mark.parametrize("anchor", ["center", "corner"])
def test_a_resting_vehicle_samples_what_is_remembered(grid, anchor):
    fuser = make_fuser(grid, ("voxel", "motion"), anchor=anchor)
    seen = sees_the_past(fuser)
    _, memory = fuser(Volume(random_features(grid, CHANNELS), grid), moved_frame(starts=(True,)), None)
    fuser(Volume(random_features(grid, CHANNELS, seed=1), grid), moved_frame(), memory)
    torch.testing.assert_close(seen[1], memory.voxel.features, atol=1e-5, rtol=0)


@pytest.mark.parametrize("shift", [(2, 0, 0), (-1, 3, 0), (0, 0, 1)], ids=str)
@pytest.mark.parametrize("anchor", ["center", "corner"])
def test_driving_by_whole_voxels_rolls_what_is_remembered_and_fills_zeros(shift, anchor):
    fuser = make_fuser(VOXELS, ("voxel", "motion"), anchor=anchor)
    seen = sees_the_past(fuser)
    _, memory = fuser(Volume(random_features(VOXELS, CHANNELS), VOXELS), moved_frame(starts=(True,)), None)
    fuser(Volume(random_features(VOXELS, CHANNELS, seed=1), VOXELS), moved_frame(tuple(map(float, shift))), memory)
    expected = memory.voxel.features
    for axis, cells in zip((-1, -2, -3), shift):
        expected = expected.roll(-cells, axis)
        if cells:
            unseen = slice(-cells, None) if cells > 0 else slice(0, -cells)
            expected.movedim(axis, 0)[unseen] = 0
    torch.testing.assert_close(seen[1], expected, atol=1e-5, rtol=0)


def test_a_flip_between_frames_is_undone_when_indices_are_centres():
    flip = torch.diag(torch.tensor([1.0, -1.0, 1.0, 1.0]))[None]
    first = moved_frame(starts=(True,), grid_from_ego=flip)
    fuser = make_fuser(BEV, ("voxel",))
    seen = sees_the_past(fuser)
    _, memory = fuser(Volume(random_features(BEV, CHANNELS), BEV), first, None)
    fuser(Volume(random_features(BEV, CHANNELS, seed=1), BEV), moved_frame(), memory)
    torch.testing.assert_close(seen[1], memory.voxel.features.flip(-2), atol=1e-5, rtol=0)


def test_offsets_move_the_past_besides_the_vehicle():
    fuser = make_fuser(VOXELS, ("voxel", "motion"))
    with torch.no_grad():
        fuser.motion.offset.bias[:] = torch.tensor([1.0, 0.0, 0.0])
    seen = sees_the_past(fuser)
    x = random_features(VOXELS, CHANNELS)
    fuser(Volume(x, VOXELS), moved_frame(starts=(True,)), None)
    torch.testing.assert_close(seen[0][..., :-1], x[..., 1:], atol=1e-5, rtol=0)
    assert seen[0][..., -1].abs().max() < 1e-5


@pytest.mark.parametrize("grid", [BEV, VOXELS], ids=["map", "volume"])
def test_start_of_a_sequence_resets_one_lane_of_every_memory(grid):
    fuser = make_fuser(grid).eval()
    torch.nn.init.normal_(fuser.motion.offset.weight, std=0.3)
    first, second = (random_features(grid, CHANNELS, 2, seed=i) for i in range(2))
    _, memory = fuser(Volume(first, grid), moved_frame(starts=(True, True)), None)
    frame = moved_frame((0.4, 0.0, 0.0), starts=(True, False))
    state = TemporalState().with_memory("temporal", memory).enter(frame.meta)
    both, after = fuser(Volume(second, grid), frame, state.get("temporal"))
    for part in (after, after.voxel, after.motion, after.scene):
        assert part.age.tolist() == [1, 2]
    fresh, _ = fuser(Volume(second[:1], grid), frame[0], None)
    torch.testing.assert_close(both.features[:1], fresh.features)
    old, _ = fuser(Volume(second[1:], grid), frame[1], memory[1])
    torch.testing.assert_close(both.features[1:], old.features)
    reset, _ = fuser(Volume(second[1:], grid), frame[1], None)
    assert (old.features - reset.features).abs().max() > 1e-3


def test_all_four_records_survive_a_checkpoint(tmp_path):
    fuser = make_fuser()
    _, memory = fuser(Volume(random_features(VOXELS, CHANNELS), VOXELS), moved_frame(starts=(True,)), None)
    torch.save(TemporalState().with_memory("temporal", memory).state_dict(), tmp_path / "state.pth")
    restored = TemporalState.from_state_dict(torch.load(tmp_path / "state.pth", weights_only=True)).get("temporal")
    frame, volume = moved_frame((0.3, 0.2, 0.0)), Volume(random_features(VOXELS, CHANNELS, seed=1), VOXELS)
    fuser.eval()
    torch.testing.assert_close(fuser(volume, frame, restored)[0].features, fuser(volume, frame, memory)[0].features)
    assert type(restored.motion) is type(memory.motion)


def test_a_memory_that_is_switched_off_survives_a_checkpoint_as_nothing():
    fuser = make_fuser(parts=("voxel",))
    _, memory = fuser(Volume(random_features(VOXELS, CHANNELS), VOXELS), moved_frame(starts=(True,)), None)
    restored = TemporalState.from_state_dict(TemporalState().with_memory("t", memory).state_dict()).get("t")
    assert restored.scene is None
    assert restored.motion is None


def test_a_memory_of_another_grid_or_network_is_refused():
    fuser = make_fuser(BEV)
    _, memory = make_fuser(VOXELS)(Volume(random_features(VOXELS, CHANNELS), VOXELS), moved_frame(), None)
    with pytest.raises(StreamError, match=r"GDFusion\.voxel.*`features`"):
        fuser(Volume(random_features(BEV, CHANNELS), BEV), moved_frame(), memory)
    _, memory = make_fuser(BEV, ("voxel",))(Volume(random_features(BEV, CHANNELS), BEV), moved_frame(), None)
    with pytest.raises(StreamError, match="no part `motion`"):
        fuser(Volume(random_features(BEV, CHANNELS), BEV), moved_frame(), memory)


def test_memories_hold_no_gradient():
    fuser = make_fuser()
    x = random_features(VOXELS, CHANNELS).requires_grad_()
    _, memory = fuser(Volume(x, VOXELS), moved_frame(starts=(True,)), None)
    parts = (memory.voxel.features, memory.motion.offsets, memory.scene.weight, memory.scene.shift)
    assert not any(part.requires_grad for part in parts)


def test_checkpointing_changes_neither_gradients_nor_statistics():
    results = []
    for checkpointing in (False, True):
        fuser = make_fuser(activation_checkpointing=checkpointing).train()
        _, memory = fuser(Volume(random_features(VOXELS, CHANNELS), VOXELS), moved_frame(starts=(True,)), None)
        x = random_features(VOXELS, CHANNELS, seed=1).requires_grad_()
        out, _ = fuser(Volume(x, VOXELS), moved_frame((0.4, 0.0, 0.0)), memory)
        out.features.square().sum().backward()
        results.append((x.grad, *(p.grad for p in fuser.parameters()), *fuser.buffers()))
    for plain, recomputed in zip(*results):
        torch.testing.assert_close(plain, recomputed)
