"""GeometryFusion: remembered logits, seen from where the cameras are now (spec/04 section 4.6)."""

from __future__ import annotations

import pytest
import torch

from mmdet3d_plugin.errors import ConfigError, StreamError
from mmdet3d_plugin.models.view_transformers import GeometryFusion, GeometryMemory
from mmdet3d_plugin.structures import AdjacentImages, CameraRig, Frame, FrameMeta, TemporalState

BINS, IN_CHANNELS, CAMERAS, STRIDE, SIZE = (1.0, 7.0, 1.0), 5, 2, 4, (16, 24)
DEPTHS, HEIGHT, WIDTH = 6, 4, 6
PUBLISHED = {"pixel_anchor": "corners", "depth_anchor": "edge", "visibility": "nonzero"}


def make_fusion(**options: object) -> GeometryFusion:
    torch.manual_seed(0)
    return GeometryFusion(BINS, IN_CHANNELS, **options)  # type: ignore[arg-type]


def make_frame(lanes: int = 1, crop: torch.Tensor | None = None, motion: torch.Tensor | None = None) -> Frame:
    """A frame whose cameras moved by `motion` [4, 4] and were augmented by `crop` [3, 3]."""
    intrinsics = torch.tensor([[20.0, 0, 11.5], [0, 20.0, 7.5], [0, 0, 1]])
    crop = torch.eye(3) if crop is None else crop
    rig = CameraRig(
        torch.eye(4).repeat(lanes, CAMERAS, 1, 1),
        intrinsics.repeat(lanes, CAMERAS, 1, 1),
        crop.repeat(lanes, CAMERAS, 1, 1),
        torch.eye(4).repeat(lanes, 1, 1),
    )
    lane = torch.arange(lanes)
    meta = FrameMeta(
        lane, torch.zeros(lanes, dtype=torch.bool), torch.eye(4).repeat(lanes, 1, 1), lane.double(), ("t",) * lanes
    )
    images = torch.zeros(lanes, CAMERAS, 3, *SIZE)
    motion = torch.eye(4) if motion is None else motion
    return Frame(images, rig, meta, AdjacentImages(images, motion.repeat(lanes, CAMERAS, 1, 1)))


def make_inputs(lanes: int = 1, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(lanes * CAMERAS, IN_CHANNELS, HEIGHT, WIDTH, generator=generator)
    logits = torch.randn(lanes, CAMERAS, DEPTHS, HEIGHT, WIDTH, generator=generator)
    return features, logits.softmax(dim=2)


def recalled(fusion: GeometryFusion, frame: Frame, memory: GeometryMemory) -> tuple[torch.Tensor, torch.Tensor]:
    """What the fusion sees of its memory, [B, N, D, h, w] each."""
    inputs: list[torch.Tensor] = []
    handle = fusion.memory_gate.register_forward_hook(lambda module, args, output: inputs.append(args[0]))
    features, geometry = make_inputs(frame.batch_size)
    fusion(features, geometry, frame, memory, None)
    handle.remove()
    past = inputs[0].unflatten(0, (frame.batch_size, CAMERAS))
    return past, past != 0


def remember(frame: Frame, seed: int = 3) -> GeometryMemory:
    logits = torch.randn(
        frame.batch_size, CAMERAS, DEPTHS, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(seed)
    )
    return GeometryMemory(torch.ones(frame.batch_size, dtype=torch.int64), logits, frame.rig.crop_from_pixel)


@pytest.mark.parametrize("anchors", [{}, PUBLISHED], ids=["corrected", "published"])
def test_resting_cameras_see_what_is_remembered(anchors):
    fusion, frame = make_fusion(**anchors), make_frame()
    memory = remember(frame)
    past, _ = recalled(fusion, frame, memory)
    torch.testing.assert_close(past, memory.logits, atol=1e-4, rtol=1e-4)


def test_the_past_ends_half_a_cell_beyond_the_frustum_where_published_logits_fade():
    """0.75 cells beyond the last one nothing was seen; a quarter of a cell beyond, the last cell was."""
    for beyond, corrected, share in ((0.25, 1.0, 0.75), (0.75, 0.0, 0.25)):
        crop = torch.tensor([[1.0, 0, -STRIDE * beyond], [0, 1, 0], [0, 0, 1]])
        memory = remember(make_frame())
        past, seen = recalled(make_fusion(), make_frame(crop=crop), memory)
        torch.testing.assert_close(past[..., -1], corrected * memory.logits[..., -1], atol=1e-4, rtol=1e-4)
        assert seen[..., -1].all() == (corrected > 0)
        past, _ = recalled(make_fusion(visibility="nonzero"), make_frame(crop=crop), memory)
        torch.testing.assert_close(past[..., -1], share * memory.logits[..., -1], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("cells", [1, -2])
def test_another_image_augmentation_moves_the_memory_by_whole_cells(cells):
    """The crop of this frame starts `cells` feature cells further to the right."""
    fusion = make_fusion()
    shift = torch.tensor([[1.0, 0, -STRIDE * cells], [0, 1, 0], [0, 0, 1]])
    memory = remember(make_frame())
    past, seen = recalled(fusion, make_frame(crop=shift), memory)
    expected = memory.logits.roll(-cells, dims=-1)
    unseen = slice(-cells, None) if cells > 0 else slice(0, -cells)
    expected[..., unseen] = 0
    torch.testing.assert_close(past, expected, atol=1e-4, rtol=1e-4)
    assert not seen[..., unseen].any()


def test_flipping_the_image_flips_the_memory():
    flip = torch.tensor([[-1.0, 0, SIZE[1] - 1], [0, 1, 0], [0, 0, 1]])
    memory = remember(make_frame())
    past, _ = recalled(make_fusion(), make_frame(crop=flip), memory)
    torch.testing.assert_close(past, memory.logits.flip(-1), atol=1e-4, rtol=1e-4)


def test_driving_forward_by_one_bin_brings_the_axis_one_bin_closer():
    """On the optical axis a point keeps its pixel: bin k now shows what bin k + 1 showed."""
    fusion = make_fusion()
    forward = torch.eye(4)
    forward[2, 3] = BINS[2]  # a point is one bin deeper in the previous camera
    frame = make_frame(motion=forward)
    memory = remember(frame)
    memory.logits = memory.logits.mean((-2, -1), keepdim=True).expand(-1, -1, -1, HEIGHT, WIDTH)
    past, seen = recalled(fusion, frame, memory)
    middle = (..., HEIGHT // 2, WIDTH // 2)
    torch.testing.assert_close(past[..., :-1, :, :][middle], memory.logits[..., 1:, :, :][middle], atol=1e-4, rtol=1e-4)
    assert not seen[:, :, -1].any()


def test_points_behind_the_previous_camera_are_not_seen():
    backward = torch.eye(4)
    backward[2, 3] = -100.0
    frame = make_frame(motion=backward)
    _, seen = recalled(make_fusion(), frame, remember(frame))
    assert not seen.any()


def test_first_frame_is_the_mix_of_its_own_logits():
    fusion, frame = make_fusion(), make_frame()
    features, geometry = make_inputs()
    out, memory = fusion(features, geometry, frame, None, None)
    logits = fusion.output(features)
    torch.testing.assert_close(memory.logits.flatten(0, 1), logits)
    share = fusion.geometry_gate(logits.softmax(dim=1), geometry.flatten(0, 1))
    expected = share * logits.softmax(dim=1) + (1 - share) * geometry.flatten(0, 1)
    torch.testing.assert_close(out.flatten(0, 1), expected)
    assert memory.age.tolist() == [1]


def test_second_frame_equals_the_formula():
    fusion, frame = make_fusion(), make_frame()
    memory = remember(frame)
    features, geometry = make_inputs()
    out, after = fusion(features, geometry, frame, memory, None)
    own, past = fusion.output(features), memory.logits.flatten(0, 1)
    w = fusion.memory_gate(past, own)
    fused = w * past + (1 - w) * own
    torch.testing.assert_close(after.logits.flatten(0, 1), fused, atol=1e-4, rtol=1e-4)
    u = fusion.geometry_gate(fused.softmax(1), geometry.flatten(0, 1))
    expected = u * fused.softmax(1) + (1 - u) * geometry.flatten(0, 1)
    torch.testing.assert_close(out.flatten(0, 1), expected, atol=1e-4, rtol=1e-4)
    assert after.age.tolist() == [2]


def test_a_new_lane_has_no_past_and_others_keep_theirs():
    fusion, frame = make_fusion(), make_frame(2)
    features, geometry = make_inputs(2)
    memory = remember(frame)
    both, _ = fusion(features, geometry, frame, memory.cleared(torch.tensor([True, False])), None)
    old, _ = fusion(features, geometry, frame, memory, None)
    new, after = fusion(features, geometry, frame, None, None)
    torch.testing.assert_close(both[0], new[0])
    torch.testing.assert_close(both[1], old[1])
    assert (both[0] - old[0]).abs().max() > 1e-4
    assert after.age.tolist() == [1, 1]


@pytest.mark.parametrize("kind", ["logits", "probabilities"])
def test_lidar_replaces_the_geometry_and_what_is_remembered(kind):
    fusion, frame = make_fusion(lidar_memory=kind), make_frame()
    features, geometry = make_inputs()
    lidar = torch.full((1, CAMERAS, HEIGHT, WIDTH), -1)
    lidar[0, 1, 2, 3] = 4
    out, memory = fusion(features, geometry, frame, None, lidar)
    plain, without = fusion(features, geometry, frame, None, None)
    truth = torch.nn.functional.one_hot(torch.tensor(4), DEPTHS).float()
    other = torch.ones_like(geometry, dtype=torch.bool)
    other[0, 1, :, 2, 3] = False
    torch.testing.assert_close(out[other], plain[other])
    torch.testing.assert_close(memory.logits[other], without.logits[other])
    logits = fusion.output(features)[1, :, 2, 3]
    probability, predicted = logits.softmax(0), geometry[0, 1, :, 2, 3]
    u = fusion.geometry_gate(probability[None, :, None, None], predicted[None, :, None, None]).flatten()
    torch.testing.assert_close(out[0, 1, :, 2, 3], u * probability + (1 - u) * truth)
    stored = memory.logits[0, 1, :, 2, 3]
    if kind == "probabilities":
        assert torch.equal(stored, truth)
    else:
        torch.testing.assert_close(stored.softmax(0), truth, atol=2e-4, rtol=0)


def test_memory_holds_no_gradient_and_every_parameter_of_a_first_frame_has_one():
    fusion, frame = make_fusion(), make_frame()
    features, geometry = make_inputs()
    out, memory = fusion(features.requires_grad_(), geometry, frame, None, None)
    out.square().sum().backward()
    assert not memory.logits.requires_grad
    assert all(p.grad is not None for p in fusion.parameters())
    assert features.grad.abs().max() > 0


def test_memory_survives_a_checkpoint():
    fusion, frame = make_fusion(), make_frame()
    _, memory = fusion(*make_inputs(), frame, None, None)
    state = TemporalState().with_memory("view_transformer", memory).state_dict()
    restored = TemporalState.from_state_dict(state).get("view_transformer")
    assert type(restored) is GeometryMemory
    assert torch.equal(restored.logits, memory.logits)


def test_a_memory_of_another_image_size_is_refused():
    fusion, frame = make_fusion(), make_frame()
    memory = remember(frame)
    memory.logits = memory.logits[..., :-1]
    with pytest.raises(StreamError, match="GeometryFusion"):
        fusion(*make_inputs(), frame, memory, None)


def test_unknown_motion_of_the_cameras_is_an_error():
    fusion, frame = make_fusion(), make_frame()
    memory = remember(frame)
    frame.adjacent = None
    with pytest.raises(ConfigError, match="load_adjacent=True"):
        fusion(*make_inputs(), frame, memory, None)
