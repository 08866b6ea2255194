"""ConcatHistory without gradient fuses frame by frame: same result, and two windows at most in memory."""

from __future__ import annotations

import pytest
import torch
from peak_bytes import PeakBytes
from streams import BEV, GDFUSION_PARTS, VOXELS, moved_frame, random_features

from mmdet3d_plugin.models.temporal import ConcatHistory, GDFusion, scene_memory
from mmdet3d_plugin.registry import MODELS
from mmdet3d_plugin.structures import TemporalState, Volume, VoxelGrid

CHANNELS, FRAMES = 8, 16
LARGE = VoxelGrid((-4.0, -3.0, -1.0), (4.0, 3.0, 3.0), (24, 18, 8))


def make_stage(grid: VoxelGrid, **options: object) -> ConcatHistory:
    torch.manual_seed(0)
    stage = ConcatHistory(CHANNELS, grid, FRAMES, **options).eval()  # type: ignore[arg-type]
    for norm in (stage.time_norm, stage.fuse_norm):
        torch.nn.init.normal_(norm.running_mean, std=0.2)
        torch.nn.init.uniform_(norm.running_var, 0.5, 2.0)
        torch.nn.init.normal_(norm.bias, std=0.2)
    return stage


def frames(count: int):
    """Frames of two lanes; the second starts anew in the third frame."""
    for i in range(count):
        yield moved_frame((0.4, 0.1, 0.0), starts=(i == 0, i in (0, 2)))


@pytest.mark.parametrize("grid", [BEV, VOXELS], ids=["map", "volume"])
@pytest.mark.parametrize("published", [False, True])
def test_frame_by_frame_equals_the_formula_of_training(grid, published):
    stage = make_stage(grid, **({"anchor": "corner", "warp_initial_copies": True} if published else {}))
    lean, plain = TemporalState(), TemporalState()
    for i, frame in enumerate(frames(4)):
        volume = Volume(random_features(grid, CHANNELS, 2, seed=i), grid)
        expected, memory = stage(volume, frame, plain.enter(frame.meta).get("temporal"))
        plain = plain.with_memory("temporal", memory)
        with torch.no_grad():
            found, other = stage(volume, frame, lean.enter(frame.meta).get("temporal"))
        lean = lean.with_memory("temporal", other)
        torch.testing.assert_close(found.features, expected.features, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(other.features, memory.features)
        assert torch.equal(other.frame_ages, memory.frame_ages)


def test_a_stream_that_has_no_history_is_fused_with_displaced_copies_as_published():
    stage = make_stage(VOXELS, anchor="corner", warp_initial_copies=True)
    volume, frame = Volume(random_features(VOXELS, CHANNELS), VOXELS), moved_frame((0.4, 0.0, 0.0))
    expected, at_once = stage(volume, frame, None)
    with torch.no_grad():
        found, one_by_one = stage(volume, frame, None)
    torch.testing.assert_close(found.features, expected.features, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(one_by_one.features, at_once.features)


def peak_volumes(stage: torch.nn.Module, gradient: bool) -> float:
    """Peak memory of a frame in the middle of a sequence, in volumes of one frame."""
    volume = Volume(random_features(LARGE, CHANNELS), LARGE)
    with torch.no_grad():
        _, memory = stage(volume, moved_frame(starts=(True,)), None)
    with torch.set_grad_enabled(gradient), PeakBytes() as count:
        stage(volume, moved_frame((0.4, 0.1, 0.0)), memory)
    return count.peak / volume.features.untyped_storage().nbytes()


def test_peak_is_the_old_and_the_new_window_and_a_few_volumes():
    stage = make_stage(LARGE)
    assert 2 * FRAMES < peak_volumes(stage, gradient=False) <= 2 * FRAMES + 8
    assert peak_volumes(stage, gradient=True) > 4 * FRAMES  # the control: the formula of training


def test_recurrent_fusion_needs_a_few_volumes_only(monkeypatch):
    monkeypatch.setattr(scene_memory, "_CELLS", 350)  # of 3456, as few as 65536 are of 640000
    torch.manual_seed(0)
    fuser: GDFusion = MODELS.build(dict(type="GDFusion", channels=CHANNELS, grid=LARGE, **GDFUSION_PARTS)).eval()
    lean, control = peak_volumes(fuser, gradient=False), peak_volumes(fuser, gradient=True)
    assert lean <= 9
    assert control > 2 * lean
