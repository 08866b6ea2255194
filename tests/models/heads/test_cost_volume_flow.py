"""The flow branch: where a displaced map is found, how the past is warped, what is remembered, what guidance does."""

from __future__ import annotations

import math

import pytest
import torch

from mmdet3d_plugin.errors import ConfigError, StreamError
from mmdet3d_plugin.models.heads import CostVolumeFlow, PrototypeMaskHead
from mmdet3d_plugin.models.heads.cost_volume_flow import class_shares, matching_cost, plane_grid
from mmdet3d_plugin.models.protocols import FlowGuidance
from mmdet3d_plugin.structures import IGNORE, OPENOCC, CameraRig, Frame, FrameMeta, TemporalState, Volume, VoxelGrid

GRID = VoxelGrid((-4.8, -4.0, -1.0), (4.8, 4.0, 3.8), (48, 40, 12))  # 0.2 m x 0.2 m x 0.4 m
CENTRE = 60  # number of the offset (0, 0)
BINS = (-4.0, 4.0, 1.0)


def frame(starts=False, motion=(0.0, 0.0), flip=(1.0, 1.0), batch=1):
    """A frame whose ego vehicle has come (x, y) metres since the previous one, in a flipped scene."""
    prev_from_ego = torch.eye(4)
    prev_from_ego[:2, 3] = torch.tensor(motion)
    grid_from_ego = torch.diag(torch.tensor([*flip, 1.0, 1.0]))
    starts = torch.as_tensor(starts).expand(batch)
    rig = CameraRig(*(torch.eye(n).expand(batch, 1, n, n) for n in (4, 3, 3)), grid_from_ego.expand(batch, 4, 4))
    meta = FrameMeta(
        torch.zeros(batch, dtype=torch.int64),
        starts,
        prev_from_ego.expand(batch, 4, 4),
        torch.zeros(batch, dtype=torch.float64),
        ("t",) * batch,
    )
    return Frame(torch.zeros(batch, 1, 3, 8, 8), rig, meta)


def branch(**options):
    torch.manual_seed(0)
    return CostVolumeFlow(6, BINS, cost_channels=4, hidden_channels=8, **options).eval()


def world(channels=6, batch=1, seed=0):
    """Smooth random features over twice the box of the grid, [B, C, Z, 80, 96]; what is at rest stays in its cell."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn(batch, channels, 1, 20, 24, generator=generator)
    plane = torch.nn.functional.interpolate(coarse[:, :, 0], (80, 96), mode="bilinear", align_corners=True)
    return plane[:, :, None].repeat(1, 1, 12, 1, 1)


def view(features, y=0, x=0):
    """The grid, with its origin (y, x) cells from the middle of the world."""
    return Volume(features[..., 20 + y : 60 + y, 24 + x : 72 + x], GRID)


def match(head, frames, volumes, guidance=None):
    """The distribution over offsets of the last frame, [B, 121, 20, 24]."""
    memory = None
    for index, (now, volume) in enumerate(zip(frames, volumes)):
        if memory is not None:
            memory = memory.cleared(now.meta.starts_sequence)
        result, memory = head._match(volume, now, memory, guidance[index] if guidance else None)
    return result


def inner(tensor, margin=6):
    return tensor[..., margin:-margin, margin:-margin]


def best_offset(distribution):
    """Share of inner cells that match best at each (dy, dx) in coarse cells; the most frequent one."""
    best = inner(distribution.argmax(dim=1)).flatten()
    number = best.mode().values.item()
    return (2 * (number // 11 - 5), 2 * (number % 11 - 5)), (best == number).float().mean().item()


# ---------------------------------------------------------------- the costs


def test_costs_of_one_cell_by_hand():
    current, previous = torch.zeros(1, 2, 25, 25), torch.zeros(1, 2, 25, 25)
    current[0, :, 12, 12] = torch.tensor([3.0, 0.0])
    previous[0, :, 12, 12] = torch.tensor([0.0, 2.0])  # orthogonal
    previous[0, :, 16, 6] = torch.tensor([7.0, 0.0])  # parallel, 4 cells up along y and 6 down along x
    previous[0, :, 2, 22] = torch.tensor([-1.0, 1.0])  # 135 degrees, at the end of the reach
    valid = previous.abs().sum(dim=1, keepdim=True) > 0
    costs = matching_cost(current, previous, valid)[0, :, 12, 12]
    expected = torch.full((121,), 5.0)
    expected[CENTRE] = 0.0
    expected[(2 + 5) * 11 + (-3 + 5)] = -10.0
    expected[0 * 11 + 10] = 10 * math.sqrt(0.5)
    torch.testing.assert_close(costs, expected)


def test_outside_of_the_map_nothing_matches():
    features = torch.ones(1, 3, 12, 14)
    costs = matching_cost(features, features, torch.ones(1, 1, 12, 14, dtype=torch.bool))[0]
    assert set(costs[:, 0, 0].round().tolist()) == {-10.0, 5.0}
    inside = (costs < 0).view(11, 11, 12, 14)
    for y, x in ((0, 0), (5, 13), (11, 3)):
        for i in range(11):
            for j in range(11):
                within = 0 <= y + 2 * (i - 5) < 12 and 0 <= x + 2 * (j - 5) < 14
                assert inside[i, j, y, x] == within


@pytest.mark.parametrize("cells", [(0, 0), (4, 0), (0, -4), (-8, 12)])
def test_a_displaced_map_is_found_where_it_was(cells):
    """What is now at p was at p + o: everything has moved by -o."""
    features = world()
    y, x = cells
    volumes = [view(features), view(features, y, x)]  # the content of cell p was at p + cells
    offset, share = best_offset(match(branch(), [frame(True), frame()], volumes))
    assert offset == (y // 2, x // 2)  # coarse cells
    assert share > 0.95


def test_all_offsets_at_once_are_an_unfold():
    """The loop over shifts against the definition with all neighbours in memory."""
    generator = torch.Generator().manual_seed(1)
    current, previous = torch.randn(2, 2, 5, 13, 17, generator=generator)
    previous[:, :, :, :4] = 0
    valid = previous.sum(dim=1, keepdim=True) != 0
    neighbours = torch.nn.functional.unfold(previous, 11, dilation=2, padding=10).view(2, 5, 121, 13, 17)
    expected = -torch.cosine_similarity(current[:, :, None], neighbours, dim=1) / 0.1 + 5.0 * (neighbours.sum(1) == 0)
    torch.testing.assert_close(matching_cost(current, previous, valid), expected)


# ---------------------------------------------------------------- the past


def test_a_static_world_rests_whatever_the_ego_vehicle_does():
    """1.6 m forward, 0.8 m to the left: the memory is warped before it is matched."""
    features = world()
    volumes = [view(features), view(features, 4, 8)]
    offset, share = best_offset(match(branch(), [frame(True), frame(motion=(1.6, 0.8))], volumes))
    assert (offset, share > 0.99) == ((0, 0), True)
    offset, _ = best_offset(match(branch(), [frame(True), frame()], volumes))  # without the motion it seems to move
    assert offset == (2, 4)


def flipped(tensor, axes):
    """A volume or a distribution [1, 121, Y, X] over offsets in the scene flipped along the axes."""
    if tensor.dim() == 5:
        return tensor.flip(axes)
    return tensor.unflatten(1, (11, 11)).flip([*axes, *(axis - 2 for axis in axes)]).flatten(1, 2)


@pytest.mark.parametrize("flip", [(-1.0, 1.0), (1.0, -1.0), (-1.0, -1.0)])
@pytest.mark.parametrize("before", [False, True])
def test_flips_are_undone(flip, before):
    """Of the current frame alone, or of both; motion is in the unflipped frame."""
    axes = [axis for axis, sign in ((-1, flip[0]), (-2, flip[1])) if sign < 0]
    first, second = (view(world(), *cells).features for cells in ((0, 0), (4, 8)))
    motion = (1.5, 0.7)  # half cells: no sample lies on the edge of the map, where rounding would decide
    expected = match(branch(), [frame(True), frame(motion=motion)], [Volume(first, GRID), Volume(second, GRID)])
    frames = [frame(True, flip=flip if before else (1.0, 1.0)), frame(motion=motion, flip=flip)]
    volumes = [flipped(first, axes) if before else first, flipped(second, axes)]
    result = match(branch(), frames, [Volume(features, GRID) for features in volumes])
    torch.testing.assert_close(flipped(result, axes), expected, atol=1e-4, rtol=1e-3)


def test_corner_anchor_shifts_flips_by_a_cell():
    """Published models hold indices for corners of voxels: a flip in between displaces the past by one cell."""
    still = view(world())
    turned = Volume(flipped(still.features, [-1]), GRID)
    rest = [match(branch(anchor=a), [frame(True), frame()], [turned, turned]) for a in ("center", "corner")]
    torch.testing.assert_close(*rest)
    frames = [frame(True), frame(flip=(-1.0, 1.0))]
    right, published = (inner(match(branch(anchor=a), frames, [still, turned])) for a in ("center", "corner"))
    torch.testing.assert_close(right, inner(rest[0]), atol=1e-5, rtol=1e-4)
    assert (published - right).abs().max() > 0.05


def test_what_lies_beyond_the_previous_map_is_penalised():
    """The two rules differ where features cancel or vanish inside of the map."""
    features = world()
    features[:, :, :, 40:46, 48:54] = 0
    volumes, frames = [view(features), view(features)], [frame(True), frame(motion=(4.0, 0.0))]
    by_grid, by_feature = (match(branch(validity=v), frames, volumes) for v in ("grid", "zero_feature"))
    differ = (by_grid - by_feature).abs().amax(dim=1)[0]
    assert differ.max() > 0.01
    volumes = [view(world()), view(world())]
    by_grid, by_feature = (match(branch(validity=v), frames, volumes) for v in ("grid", "zero_feature"))
    torch.testing.assert_close(by_grid, by_feature)
    beyond = by_grid.view(11, 11, 20, 24)[5:, 10, :, 14:]  # 4 m ahead the previous map ends
    assert beyond.max() < 1e-3


def test_only_the_chosen_heights_count():
    features = world()
    noise = torch.randn(1, 6, 12, 80, 96, generator=torch.Generator().manual_seed(3))
    noise[:, :, 3:9] = 0
    expected = match(branch(), [frame(True), frame()], [view(features), view(features, 4, 0)])
    result = match(branch(), [frame(True), frame()], [view(features), view(features + noise, 4, 0)])
    torch.testing.assert_close(result, expected)
    slab = plane_grid(GRID, slice(3, 9))
    assert slab.shape == (48, 40, 1)
    assert slab.lower + slab.upper == pytest.approx((-4.8, -4.0, 0.2, 4.8, 4.0, 2.6))
    flat = VoxelGrid((-4.8, -4.0, -1.0), (4.8, 4.0, 3.8), (48, 40, 8))
    with pytest.raises(ConfigError, match="heights"):
        branch()(Volume(torch.zeros(1, 6, 8, 40, 48), flat), frame(True), None)


# ---------------------------------------------------------------- memory


def test_a_lane_that_starts_matches_itself_and_its_neighbour_does_not():
    features = world(batch=2)
    head = branch()
    _, memory = head(view(features), frame(True, batch=2), None)
    state = TemporalState().with_memory("head", memory)
    now = frame(torch.tensor([True, False]), batch=2, motion=(1.6, 0.8))
    logits, memory = head(view(features, 4, 8), now, state.enter(now.meta).get("head"))
    assert memory.age.tolist() == [1, 2]
    assert torch.equal(memory.features, view(features, 4, 8).features[:, :, 3:9].mean(dim=2, keepdim=True))
    alone, _ = head(view(features[:1], 4, 8), frame(True), None)
    torch.testing.assert_close(logits[:1], alone)
    _, first = head(view(features[1:]), frame(True), None)
    continued, _ = head(view(features[1:], 4, 8), frame(motion=(1.6, 0.8)), first)
    torch.testing.assert_close(logits[1:], continued)
    assert not torch.allclose(logits[1:], head(view(features[1:], 4, 8), frame(True), None)[0])


def test_memory_survives_a_checkpoint(tmp_path):
    features, labels = world(), torch.zeros(1, 12, 40, 48, dtype=torch.uint8)
    head = branch()
    for guidance in (None, FlowGuidance(labels, torch.tensor(0.5))):
        _, memory = head(view(features), frame(True), None, guidance)
        torch.save(TemporalState().with_memory("head", memory).state_dict(), tmp_path / "state.pth")
        state = TemporalState.from_state_dict(torch.load(tmp_path / "state.pth", weights_only=True))
        expected, _ = head(view(features, 2, 2), frame(), memory, guidance)
        result, _ = head(view(features, 2, 2), frame(), state.get("head"), guidance)
        assert torch.equal(result, expected)


def test_the_memory_of_another_grid_is_refused():
    head = branch()
    _, memory = head(view(world()), frame(True), None)
    small = VoxelGrid(GRID.lower, GRID.upper, (24, 40, 12))
    with pytest.raises(StreamError, match="CostVolumeFlow"):
        head(Volume(torch.zeros(1, 6, *small.zyx), small), frame(), memory)


def test_no_gradient_enters_the_match_and_all_parameters_have_one():
    first, second = (view(world(), *cells).features.clone().requires_grad_() for cells in ((0, 0), (4, 0)))
    head = branch().train()
    _, memory = head(Volume(first, GRID), frame(True), None)
    logits, memory = head(Volume(second, GRID), frame(), memory)
    assert not memory.features.requires_grad
    logits[..., 6, 20, 24].square().sum().backward()
    assert first.grad is None
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in head.parameters())
    # A voxel sees the features of its neighbours; the match would bring those of whole columns, metres away.
    reached = second.grad.abs().sum(dim=1)[0] > 0
    assert reached[5:8, 19:22, 23:26].all()
    assert reached.sum() == 27


# ---------------------------------------------------------------- guidance


def labels_of(seed=0):
    """Blocks of classes over twice the box of the grid, [1, Z, 80, 96]."""
    generator = torch.Generator().manual_seed(seed)
    blocks = torch.randint(0, 17, (1, 1, 20, 24), generator=generator, dtype=torch.uint8)
    return blocks.repeat_interleave(4, 2).repeat_interleave(4, 3).expand(1, 12, 80, 96)


def test_shares_of_classes_in_a_column():
    labels = torch.full((1, 12, 1, 2), OPENOCC.free, dtype=torch.uint8)
    labels[0, 4, 0, 0], labels[0, 5:8, 0, 0], labels[0, 0, 0, 0] = 3, IGNORE, 7
    shares = class_shares(labels, OPENOCC, slice(3, 9))
    assert shares.shape == (1, 18, 1, 1, 2)
    assert shares[0, [3, 17, OPENOCC.free, 7], 0, 0, 0].tolist() == pytest.approx([1 / 6, 3 / 6, 2 / 6, 0])
    assert shares.sum(dim=1).flatten().tolist() == pytest.approx([1, 1])


def test_guidance_replaces_the_match_by_that_of_the_labels():
    features, labels = world(), labels_of()
    frames, volumes = [frame(True), frame()], [view(features), view(features)]  # features say: nothing moves
    truth = [view(labels).features, view(labels, 8, -4).features]  # labels say: everything moves
    by_rate = {
        rate: match(branch(), frames, volumes, [FlowGuidance(t, torch.tensor(rate)) for t in truth])
        for rate in (0.0, 0.5, 1.0)
    }
    torch.testing.assert_close(by_rate[0.0], match(branch(), frames, volumes))
    assert best_offset(by_rate[0.0])[0] == (0, 0)
    shown = match(branch(), frames, [Volume(class_shares(t, OPENOCC, slice(3, 9)).expand(-1, -1, 12, -1, -1), GRID)
                                     for t in truth])  # fmt: skip
    torch.testing.assert_close(by_rate[1.0], shown)
    # Costs are mixed, so that distributions are multiplied.
    product = by_rate[0.0].sqrt() * by_rate[1.0].sqrt()
    torch.testing.assert_close(by_rate[0.5], product / product.sum(dim=1, keepdim=True), atol=1e-5, rtol=1e-3)


def test_guidance_follows_the_ego_vehicle():
    features, labels = world(), labels_of()
    truth = [FlowGuidance(view(labels, *cells).features, torch.tensor(1.0)) for cells in ((0, 0), (4, 8))]
    result = match(branch(), [frame(True), frame(motion=(1.6, 0.8))], [view(features)] * 2, truth)
    expected = match(branch(), [frame(True)], [view(features)], truth[1:])
    # What is at rest matches as the current labels match themselves, wherever the previous map does not end.
    torch.testing.assert_close(result[..., :6, :8], expected[..., :6, :8], atol=1e-4, rtol=1e-3)


def test_lanes_without_a_previous_truth_are_not_guided():
    """Guidance that sets in within a sequence knows nothing of the frame before."""
    features, labels = world(), labels_of()
    guidance = FlowGuidance(view(labels).features, torch.tensor(1.0))
    volumes, frames = [view(features), view(features, 4, 0)], [frame(True), frame()]
    torch.testing.assert_close(match(branch(), frames, volumes, [None, guidance]), match(branch(), frames, volumes))
    restarted = match(branch(), [frame(True), frame(True)], volumes, [None, guidance])
    torch.testing.assert_close(restarted, match(branch(), [frame(True)], volumes[1:], [guidance]))


# ---------------------------------------------------------------- in a head


def test_velocities_are_the_same_whether_gradients_are_recorded_or_not():
    head, logits = branch(), torch.randn(2, 8, 2, 5, 4, 3)
    recorded = head.velocity(logits)
    with torch.no_grad():
        torch.testing.assert_close(head.velocity(logits), recorded)


def test_the_head_decodes_velocities_in_their_order():
    torch.manual_seed(0)
    head = PrototypeMaskHead(6, None, labels="OpenOcc", flow={"type": "CostVolumeFlow", "bins": BINS}).eval()
    final = head.flow.classifier[2]
    with torch.no_grad():
        final.weight.zero_()
        final.bias.fill_(-1e4)
        final.bias.view(8, 2)[[7, 2], [0, 1]] = 0.0  # v_x = 3, v_y = -2 m/s
        prediction, memory = head(view(world()), frame(True), None)
    labels = head.decode(prediction)
    assert memory.age.tolist() == [1]
    assert prediction.flow_logits.shape == (1, 8, 2, 12, 40, 48)
    assert labels.flow.shape == (1, 2, 12, 40, 48)
    assert labels.flow[0, 0].unique().tolist() == [3.0]
    assert labels.flow[0, 1].unique().tolist() == [-2.0]
    assert labels.occupancy.shape == (1, 12, 40, 48)
