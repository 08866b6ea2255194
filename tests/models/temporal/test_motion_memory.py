"""MotionField: the written-out gradient step, and what offsets mean (spec/04 section 4.4)."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmdet3d_plugin.geometry.warp import warp_locations
from mmdet3d_plugin.models.temporal.motion_memory import (
    OFFSET_LIMIT,
    STEP,
    MotionField,
    MotionMemory,
    inner_gradient,
    interpolate_with_slope,
)

CHANNELS, ZYX = 4, (3, 5, 6)


def sampled(field: torch.Tensor, locations: torch.Tensor) -> torch.Tensor:
    """Linear interpolation with border padding, by PyTorch."""
    if locations.shape[-1] == 2:
        field, locations = field[:, :, 0], locations[:, 0]
    sizes = field.new_tensor(field.shape[:1:-1])
    return torch.nn.functional.grid_sample(
        field, locations / (sizes - 1) * 2 - 1, padding_mode="border", align_corners=True
    )


@pytest.mark.parametrize(("axes", "zyx"), [(3, ZYX), (2, (1, 5, 6))])
@pytest.mark.parametrize("spread", [0.7, 4.0], ids=["interior", "border"])
def test_gradient_equals_autograd_with_border_padding(axes, zyx, spread):
    torch.manual_seed(0)
    predicted = (spread * torch.randn(2, axes, *zyx, dtype=torch.float64)).requires_grad_()
    remembered = torch.randn(2, axes, *zyx, dtype=torch.float64)
    ego = warp_locations(torch.eye(4, dtype=torch.float64).repeat(2, 1, 1), zyx)[..., :axes] + 0.3
    where = ego + predicted.movedim(1, -1)
    rest = sampled(remembered, where).view_as(predicted) - predicted
    expected = torch.autograd.grad(rest.square().mean(dim=1).sum(), predicted)[0]
    found = inner_gradient(predicted.detach(), remembered, where.detach())
    torch.testing.assert_close(found, expected)
    if spread > 1:
        outside = (where < 0).any() and (where > where.new_tensor(zyx[::-1][:axes]) - 1).any()
        assert outside


def test_linear_fields_are_interpolated_exactly_with_their_slope():
    z, y, x = torch.meshgrid(*(torch.arange(float(n)) for n in ZYX), indexing="ij")
    field = (2 * x - 3 * y + 5 * z)[None, None]
    locations = torch.tensor([[4.25, 2.5, 1.75]])[:, None, None, None]
    value, slope = interpolate_with_slope(field, locations)
    assert value.item() == pytest.approx(2 * 4.25 - 3 * 2.5 + 5 * 1.75)
    assert slope.flatten().tolist() == pytest.approx([2, -3, 5])


def test_nothing_changes_across_the_border():
    field = torch.randn(1, 1, *ZYX)
    value, slope = interpolate_with_slope(field, torch.tensor([-7.5, 2.0, 9.0]).view(1, 1, 1, 1, 3))
    assert value.item() == pytest.approx(field[0, 0, 2, 2, 0].item())
    assert slope[0, 0, [0, 2]].flatten().tolist() == [0, 0]


@settings(deadline=None, max_examples=30)
@given(offset=st.floats(-1, 1), remembered=st.floats(-3, 3))
def test_constant_memory_pulls_the_prediction_towards_itself(offset, remembered):
    """s is constant: L = (s - p)^2 per component, gradient 2/m (p - s), and the step follows it."""
    field = MotionField(CHANNELS, is_bev=False).double()
    with torch.no_grad():
        field.offset.bias[:] = offset
    current = torch.zeros(1, CHANNELS, *ZYX, dtype=torch.float64)
    matrix = torch.eye(4, dtype=torch.float64)[None]
    locations = warp_locations(matrix, ZYX)
    memory = MotionMemory(torch.ones(1, dtype=torch.int64), torch.full((1, 3, *ZYX), remembered).double())
    moved, stored = field(current, locations, matrix, memory)
    expected = offset - STEP * 2 / 3 * (offset - remembered)
    centre = (0, slice(None), 1, 2, 3)
    assert stored.offsets[centre].tolist() == pytest.approx([expected] * 3)
    torch.testing.assert_close(moved[0, 1, 2, 3] - locations[0, 1, 2, 3], stored.offsets[centre])


def test_no_step_where_the_past_lies_outside():
    field = MotionField(CHANNELS, is_bev=False)
    with torch.no_grad():
        field.offset.bias[:] = 1.0
    matrix = torch.eye(4)[None]
    memory = MotionMemory(torch.ones(1, dtype=torch.int64), torch.zeros(1, 3, *ZYX))
    _, stored = field(torch.zeros(1, CHANNELS, *ZYX), warp_locations(matrix, ZYX), matrix, memory)
    assert stored.offsets[..., -1].unique().tolist() == [1.0]  # x + 1 leaves the grid
    assert (stored.offsets[:, :, :-1, :-1, :-1] < 1).all()


def test_new_lanes_take_the_prediction_as_it_is():
    field = MotionField(CHANNELS, is_bev=False)
    torch.nn.init.normal_(field.offset.weight, std=0.3)
    current, matrix = torch.randn(2, CHANNELS, *ZYX), torch.eye(4).repeat(2, 1, 1)
    memory = MotionMemory(torch.tensor([0, 4]), torch.randn(2, 3, *ZYX))
    _, stored = field(current, warp_locations(matrix, ZYX), matrix, memory)
    _, first = field(current, warp_locations(matrix, ZYX), matrix, None)
    torch.testing.assert_close(stored.offsets[0], first.offsets[0])
    assert (stored.offsets[1] - first.offsets[1]).abs().max() > 1e-3
    assert stored.age.tolist() == [1, 5]


def test_every_lane_has_its_own_memory():
    """Published models gave the last lane's offsets to all (spec/99 A10)."""
    field = MotionField(CHANNELS, is_bev=True)
    current, matrix, zyx = torch.randn(3, CHANNELS, 1, 5, 6), torch.eye(4).repeat(3, 1, 1), (1, 5, 6)
    memory = MotionMemory(torch.ones(3, dtype=torch.int64), torch.randn(3, 2, *zyx))
    together, _ = field(current, warp_locations(matrix, zyx), matrix, memory)
    for lane in range(3):
        alone, _ = field(current[lane : lane + 1], warp_locations(matrix[:1], zyx), matrix[:1], memory[lane])
        torch.testing.assert_close(together[lane], alone[0])


def test_only_the_prediction_has_a_gradient():
    field = MotionField(CHANNELS, is_bev=False)
    current = torch.randn(1, CHANNELS, *ZYX)
    matrix, memory = torch.eye(4)[None], MotionMemory(torch.ones(1, dtype=torch.int64), torch.randn(1, 3, *ZYX))
    moved, stored = field(current, warp_locations(matrix, ZYX), matrix, memory)
    weights = torch.randn_like(moved)
    (moved * weights).sum().backward()
    torch.testing.assert_close(field.offset.bias.grad, weights.sum((0, 1, 2, 3)))
    assert not stored.offsets.requires_grad


def test_offsets_are_bounded_and_start_at_zero():
    field = MotionField(CHANNELS, is_bev=False)
    matrix = torch.eye(4)[None]
    locations = warp_locations(matrix, ZYX)
    moved, _ = field(torch.randn(1, CHANNELS, *ZYX), locations, matrix, None)
    assert torch.equal(moved, locations)
    with torch.no_grad():
        field.offset.bias[:] = 1e3
    _, stored = field(torch.randn(1, CHANNELS, *ZYX), locations, matrix, None)
    assert stored.offsets.max() == OFFSET_LIMIT


@pytest.mark.parametrize("rotates", [True, False])
def test_remembered_offsets_turn_with_the_axes_unless_as_published(rotates):
    field = MotionField(CHANNELS, is_bev=True, rotate_offsets=rotates)
    with torch.no_grad():
        field.offset.bias[:] = torch.tensor([2.0, 0.5])
    flip = torch.diag(torch.tensor([-1.0, 1.0, 1.0, 1.0]))[None]  # x of this frame is -x of the previous one
    _, stored = field(torch.zeros(1, CHANNELS, 1, 5, 6), warp_locations(flip, (1, 5, 6)), flip, None)
    assert stored.offsets[0, :, 0, 2, 2].tolist() == ([-2.0, 0.5] if rotates else [2.0, 0.5])


def test_coordinates_stay_float32_under_autocast():
    field = MotionField(CHANNELS, is_bev=False)
    torch.nn.init.normal_(field.offset.weight, std=0.3)
    current, matrix = torch.randn(1, CHANNELS, *ZYX), torch.eye(4)[None]
    expected, _ = field(current, warp_locations(matrix, ZYX), matrix, None)
    with torch.autocast("cpu", torch.bfloat16):
        found, _ = field(current, warp_locations(matrix, ZYX), matrix, None)
    assert torch.equal(found, expected)
