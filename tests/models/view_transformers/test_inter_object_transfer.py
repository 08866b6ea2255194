"""Mass passed on to other image positions: by hand, against loops, and its gradients."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from mmdet3d_plugin.errors import ConfigError
from mmdet3d_plugin.models.protocols import ImageFeatures
from mmdet3d_plugin.models.view_transformers import (
    CameraAwareDepthNet,
    DepthEstimate,
    DepthSplat,
    InterObjectTransfer,
    TransferredMass,
)
from mmdet3d_plugin.models.view_transformers.inter_object_transfer import pass_on
from mmdet3d_plugin.parity import recipe

GRID = {"lower": (-8.0, -8.0, -2.0), "upper": (8.0, 8.0, 2.0), "shape": (16, 16, 4)}
BINS = (1.0, 6.0, 1.0)
NET = {"type": "CameraAwareDepthNet", "in_channels": 6, "mid_channels": 8, "context_channels": 2, "pyramid_channels": 4}
CELLS = [cell for cell in itertools.product((-1, 0, 1), repeat=2) if cell != (0, 0)]


def transfer(weight=0.0, shift=0.0, **arguments):
    """A transfer whose networks give the same logits and shifts everywhere."""
    net = InterObjectTransfer(4, **arguments)
    with torch.no_grad():
        net.weight.weight.zero_()
        net.weight.bias.copy_(torch.as_tensor(weight))
        net.shift.weight.zero_()
        net.shift.bias.copy_(torch.as_tensor(shift))
    return net


def one_pixel(mass, cameras=1):
    return torch.tensor(mass).view(1, 1, -1, 1, 1).repeat(1, cameras, 1, 1, 1)


def features(geometry):
    return torch.zeros(geometry.shape[0] * geometry.shape[1], 4, *geometry.shape[-2:])


def points_of(net, mass, cameras=1):
    geometry = one_pixel(mass, cameras)
    out = net(features(geometry), geometry)
    return out.weights[0, 0, :, 0, 0], out.bins[0, 0, :, 0, 0].tolist(), out.shifts[0, 0, :, 0, 0]


def test_eight_positions_receive_half_of_the_peak_and_its_neighbours():
    weights, bins, _ = points_of(transfer(), [0.0, 0.25, 1.0, 0.5, 0.0])
    assert bins == [1, 2, 3] * 8
    assert weights.tolist() == [0.125, 0.5, 0.25] * 8


@pytest.mark.parametrize(("mass", "expected"), [([1.0, 0.5, 0.0], [-1, 0, 1]), ([0.0, 0.5, 1.0], [1, 2, -1])])
def test_bins_beyond_both_ends_are_masked(mass, expected):
    _, bins, _ = points_of(transfer(), mass)
    assert bins == expected * 8


@pytest.mark.parametrize(("peak", "expected"), [(0, [-1, 0, 1]), (4, [3, 4, 5]), (5, [4, 5, 5]), (8, [5, 5, 5])])
def test_published_bins_are_bounded_by_the_number_of_cameras(peak, expected):
    mass = [0.1] * 10
    mass[5] = 0.6
    mass[peak] = 1.0
    net = transfer(neighbour_bins="clamped_to_cameras")
    weights, bins, _ = points_of(net, mass, cameras=6)
    assert bins == expected * 8
    inside = [mass[b] / 2 for b in expected if b >= 0]
    torch.testing.assert_close(weights.view(8, 3)[3][torch.tensor(expected) >= 0], torch.tensor(inside))


def test_numbers_of_weights_and_shifts_are_as_published():
    logits = torch.linspace(-2, 2, 27)
    shifts = torch.linspace(-3, 3, 18)
    weights, _, moved = points_of(transfer(logits, shifts), [0.0, 0.5, 1.0, 0.25, 0.0])
    around = [c for c in range(9) if c != 4]
    shares = logits.sigmoid().view(9, 3)[around] * torch.tensor([0.5, 1.0, 0.25])
    torch.testing.assert_close(weights, shares.flatten())
    expected = (4 * shifts).clamp(-8, 8).view(9, 2)[around].repeat_interleave(3, dim=0)
    torch.testing.assert_close(moved, expected)


def test_untrained_positions_are_the_eight_neighbours_four_pixels_apart():
    net = InterObjectTransfer(4)
    nn.init.zeros_(net.shift.weight)
    _, _, shifts = points_of(net, [0.0, 1.0, 0.0])
    assert shifts[::3].tolist() == [[4.0 * a, 4.0 * b] for a, b in CELLS]


@settings(deadline=None, max_examples=30)
@given(
    st.integers(1, 3),
    st.integers(1, 7),
    st.sampled_from(("around_peak", "clamped_to_cameras")),
    st.integers(0, 2**16),
)
def test_equals_a_loop_over_pixels(cameras, num_bins, rule, seed):
    torch.manual_seed(seed)
    net = InterObjectTransfer(4, rule)
    geometry, x = torch.rand(2, cameras, num_bins, 2, 3), torch.randn(2 * cameras, 4, 2, 3)
    out = net(x, geometry)
    share = net.weight(x).sigmoid().view(2, cameras, 9, 3, 2, 3)
    shift = (4 * net.shift(x)).clamp(-8, 8).view(2, cameras, 9, 2, 2, 3)
    last = num_bins - 1 if rule == "around_peak" else min(num_bins, cameras) - 1
    for b, n, v, u in itertools.product(range(2), range(cameras), range(2), range(3)):
        peak = int(geometry[b, n, :, v, u].argmax())
        for k, (cell, j) in enumerate(itertools.product([c for c in range(9) if c != 4], range(3))):
            bin_ = peak + j - 1
            if rule == "clamped_to_cameras":
                bin_ = min(bin_, last)
            assert out.bins[b, n, k, v, u] == (bin_ if 0 <= bin_ <= last else -1)
            torch.testing.assert_close(out.shifts[b, n, k, v, u], shift[b, n, cell, :, v, u])
            if 0 <= bin_ <= last:
                expected = geometry[b, n, min(bin_, num_bins - 1), v, u] * share[b, n, cell, j, v, u]
                torch.testing.assert_close(out.weights[b, n, k, v, u], expected)


def test_gradients_of_mass_and_shifts():
    generator = torch.Generator().manual_seed(0)

    def random(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64).requires_grad_()

    geometry, logits, shifts = random(1, 2, 5, 2, 2), random(2, 27, 2, 2), random(2, 18, 2, 2)
    bins = torch.tensor([-1, 0, 1]).view(1, 1, 3, 1, 1).expand(1, 2, 3, 2, 2)

    def outputs(geometry, logits, shifts):
        points = pass_on(geometry, bins, logits, shifts)
        return points.weights, points.shifts

    assert torch.autograd.gradcheck(outputs, (geometry, logits, shifts))


def test_an_unknown_rule_is_refused():
    with pytest.raises(ConfigError, match="around_peak"):
        InterObjectTransfer(4, "around")


# ------------------------------------------------------------------------------------------------ with lifting


class KnownTransfer(nn.Module):
    """One pixel of one camera at one depth, and one transferred point of it."""

    def __init__(self, depth_bin, to_bin, shift, mass):
        super().__init__()
        self.values = depth_bin, to_bin, shift, mass

    def forward(self, features, frame, memory, guidance):
        depth_bin, to_bin, shift, mass = self.values
        depth = torch.zeros(1, 6, 5, 2, 3)
        depth[0, 1, depth_bin, 1, 1] = 1
        weights, bins = torch.zeros(1, 6, 1, 2, 3), torch.full((1, 6, 1, 2, 3), -1)
        weights[0, 1, 0, 1, 1], bins[0, 1, 0, 1, 1] = mass, to_bin
        shifts = torch.zeros(1, 6, 1, 2, 3, 2)
        shifts[0, 1, 0, 1, 1] = torch.tensor(shift)
        context = torch.tensor([1.0, 2.0]).view(1, 1, 2, 1, 1).expand(1, 6, 2, 2, 3)
        return DepthEstimate(depth, depth, context, TransferredMass(weights, bins, shifts)), memory


def lift(lifting, **known):
    net = DepthSplat(GRID, BINS, NET, {"type": lifting})
    net.depth_net = KnownTransfer(**known)
    lifted, _ = net(ImageFeatures((torch.zeros(1, 6, 6, 2, 3),)), recipe.frame(0, (32, 48), 0))
    return lifted.volume.features[0]


def test_transferred_mass_lands_on_the_ray_of_its_position():
    frame = recipe.frame(0, (32, 48), 0)
    shift = [8.0, -6.0]
    both = lift("HardPooling", depth_bin=2, to_bin=3, shift=shift, mass=0.5)
    alone = lift("HardPooling", depth_bin=2, to_bin=-1, shift=shift, mass=0.5)
    pixels, depth = torch.tensor([[23.5 + shift[0], 23.5 + shift[1]]]), torch.tensor([4.5])
    point = frame.rig.unproject(pixels, depth)[0, 1, 0]
    x, y, z = ((point - torch.tensor([-8.0, -8.0, -2.0])) // 1).long().tolist()
    expected = torch.zeros(2, 4, 16, 16)
    expected[:, z, y, x] = torch.tensor([0.5, 1.0])
    torch.testing.assert_close(both - alone, expected)


@pytest.mark.parametrize("lifting", ["HardPooling", "SoftFilling"])
def test_masked_points_add_nothing_and_no_nan(lifting):
    alone = lift(lifting, depth_bin=2, to_bin=-1, shift=[0.0, 0.0], mass=0.0)
    masked = lift(lifting, depth_bin=2, to_bin=-1, shift=[3.0, 3.0], mass=7.0)
    assert torch.equal(alone, masked)
    assert alone.sum() > 0
    both = lift(lifting, depth_bin=2, to_bin=2, shift=[0.0, 0.0], mass=1.0)
    torch.testing.assert_close(both, 2 * alone)


def test_soft_filling_trains_shifts_weights_and_geometry():
    torch.manual_seed(0)
    net = DepthSplat(GRID, BINS, dict(NET, inter={"type": "InterObjectTransfer"}), {"type": "SoftFilling"})
    level = torch.rand(1, 6, 6, 2, 3, requires_grad=True)
    lifted, _ = net(ImageFeatures((level,)), recipe.frame(0, (32, 48), 0))
    lifted.volume.features.square().sum().backward()
    inter = net.depth_net.inter
    for parameter in (inter.weight.weight, inter.weight.bias, inter.shift.weight, inter.shift.bias):
        assert torch.isfinite(parameter.grad).all()
        assert parameter.grad.abs().sum() > 0
    around = [c for c in range(9) if c != 4]
    assert (inter.shift.bias.grad.view(9, 2)[around].abs().sum(dim=1) > 0).all()
    assert inter.shift.bias.grad.view(9, 2)[4].abs().sum() == 0  # the central position is never lifted


def test_the_depth_network_passes_geometry_after_the_transfer_along_rays():
    torch.manual_seed(0)
    arguments = {"in_channels": 6, "mid_channels": 8, "context_channels": 5, "pyramid_channels": 4}
    net = CameraAwareDepthNet(
        (1.0, 9.0, 1.0),
        **arguments,
        transfer={"type": "IntraObjectTransfer", "length": 3},
        inter={"type": "InterObjectTransfer"},
    ).eval()
    level = torch.rand(1, 6, 6, 4, 6)
    estimate, _ = net(ImageFeatures((level,)), recipe.frame(0, (64, 96), 0))
    peak = estimate.geometry.argmax(dim=2)
    assert estimate.inter.weights.shape == (1, 6, 24, 4, 6)
    assert torch.equal(estimate.inter.bins[:, :, 1], peak)
    assert not torch.equal(peak, estimate.depth.argmax(dim=2))
    assert math.isclose(
        estimate.inter.weights[0, 0, 1, 0, 0].item(),
        (estimate.geometry[0, 0, peak[0, 0, 0, 0], 0, 0] * _first_share(net, level)).item(),
        rel_tol=1e-5,
    )


def _first_share(net, level):
    captured = []
    handle = net.inter.weight.register_forward_hook(lambda module, inputs, output: captured.append(output))
    net(ImageFeatures((level,)), recipe.frame(0, (64, 96), 0))
    handle.remove()
    return captured[0].sigmoid()[0, 1, 0, 0]
