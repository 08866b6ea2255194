"""Camera vector, occlusion-aware transfer and depth network."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mmdet3d_plugin.errors import ConfigError
from mmdet3d_plugin.models.protocols import DepthGuidance, ImageFeatures
from mmdet3d_plugin.models.view_transformers import CameraAwareDepthNet
from mmdet3d_plugin.models.view_transformers.camera_gate import camera_vector
from mmdet3d_plugin.models.view_transformers.intra_object_transfer import transfer_along_rays
from mmdet3d_plugin.parity import recipe
from mmdet3d_plugin.registry import MODELS
from mmdet3d_plugin.structures import CameraRig, Memory

BINS = (1.0, 9.0, 1.0)


def depth_net(**arguments):
    torch.manual_seed(0)
    sizes = {"in_channels": 6, "mid_channels": 8, "context_channels": 5, "pyramid_channels": 4}
    return CameraAwareDepthNet(BINS, **sizes, **arguments).eval()


def features(stereo=False, size=(4, 6)):
    torch.manual_seed(1)
    h, w = size
    matching = torch.rand(2, 1, 6, 6, 4 * h, 4 * w)
    level = torch.rand(1, 6, 6, h, w)
    return ImageFeatures((matching[0], level), matching[1]) if stereo else ImageFeatures((level,))


def test_the_camera_vector_lists_the_calibration_in_the_published_order():
    def matrix(start, n):
        return torch.arange(start, start + n * n, dtype=torch.float32).view(1, 1, n, n)

    rig = CameraRig(matrix(100, 4), matrix(200, 3), matrix(300, 3), matrix(400, 4)[0])
    intrinsics = [200, 204, 202, 205]  # fx, fy, cx, cy
    image = [300, 301, 302, 303, 304, 305]  # a00, a01, tx, a10, a11, ty
    scene = [400, 401, 404, 405, 410]
    pose = list(range(100, 112))
    assert camera_vector(rig).shape == (1, 1, 27)
    assert camera_vector(rig).flatten().tolist() == intrinsics + image + scene + pose


@given(st.integers(1, 9), st.integers(1, 12), st.integers(0, 2**16))
def test_transfer_is_the_causal_matrix_product_it_replaces(bins, length, seed):
    generator = torch.Generator().manual_seed(seed)
    depth = torch.rand(2, bins, 1, 2, generator=generator, dtype=torch.float64)
    weights = torch.rand(2, length, 1, 2, generator=generator, dtype=torch.float64)
    dense = torch.eye(bins, dtype=torch.float64).expand(2, 1, 2, bins, bins).clone()
    for to in range(bins):
        for source in range(max(0, to - length), to):
            dense[..., to, source] = weights[:, to - source - 1]
    expected = torch.einsum("mhwts,mshw->mthw", dense, depth)
    torch.testing.assert_close(transfer_along_rays(depth, weights), expected)


def test_transfer_of_a_surface_by_hand():
    depth = torch.tensor([0.0, 1.0, 0.0, 0.0, 0.0]).view(1, 5, 1, 1)
    weights = torch.tensor([0.5, 0.25]).view(1, 2, 1, 1)
    assert transfer_along_rays(depth, weights).flatten().tolist() == [0.0, 1.0, 0.5, 0.25, 0.0]


def test_depth_is_a_distribution_and_is_lifted_as_it_is_without_transfer():
    estimate, memory = depth_net()(features(), recipe.frame(0, (64, 96), 0))
    assert memory is None
    assert estimate.depth.shape == (1, 6, 8, 4, 6)
    assert estimate.context.shape == (1, 6, 5, 4, 6)
    torch.testing.assert_close(estimate.depth.sum(dim=2), torch.ones(1, 6, 4, 6))
    assert torch.equal(estimate.geometry, estimate.depth)


def test_transfer_adds_mass_behind_surfaces_only():
    net = depth_net(transfer={"type": "IntraObjectTransfer", "length": 3})
    estimate, _ = net(features(), recipe.frame(0, (64, 96), 0))
    assert (estimate.geometry >= estimate.depth).all()
    torch.testing.assert_close(estimate.geometry[:, :, 0], estimate.depth[:, :, 0])


def test_the_calibration_changes_the_depth():
    frame = recipe.frame(0, (64, 96), 0)
    net = depth_net()
    before = net(features(), frame)[0].depth
    frame.rig.pixel_from_cam = frame.rig.pixel_from_cam * 2
    assert not torch.allclose(net(features(), frame)[0].depth, before)


def test_guidance_replaces_lifted_depth_at_lidar_returns_only():
    frame = recipe.frame(0, (64, 96), 0)
    lidar = torch.zeros(1, 6, 64, 96)
    lidar[0, 2, 17, 33] = 3.4  # patch (1, 2), bin 2
    lidar[0, 2, 18, 33] = 5.0  # the same patch, farther
    net = depth_net()
    plain, _ = net(features(), frame)
    guided, _ = net(features(), frame, guidance=DepthGuidance(lidar, torch.tensor(1.0)))
    torch.testing.assert_close(guided.depth, plain.depth)
    assert guided.geometry[0, 2, :, 1, 2].tolist() == [0, 0, 1, 0, 0, 0, 0, 0]
    changed = (guided.geometry != plain.geometry).any(dim=2)
    assert changed.nonzero().tolist() == [[0, 2, 1, 2]]
    half, _ = net(features(), frame, guidance=DepthGuidance(lidar, torch.tensor([0.5])))
    torch.testing.assert_close(half.geometry, (guided.geometry + plain.geometry) / 2)


def with_lidar(frame, *returns):
    """The frame with lidar depth at (camera, row, column, metres)."""
    frame.lidar_depth = torch.zeros(1, 6, 64, 96)
    for camera, row, column, metres in returns:
        frame.lidar_depth[0, camera, row, column] = metres
    return frame


@pytest.mark.parametrize("training", [False, True])
def test_lidar_depth_is_lifted_where_there_is_a_return(training):
    returns = ((2, 17, 33, 3.4), (2, 18, 33, 5.0), (4, 3, 5, 0.5), (4, 40, 80, 8.9))  # the third before the first bin
    frame = with_lidar(recipe.frame(0, (64, 96), 0), *returns)
    net = depth_net(lidar_depth=True)
    plain, _ = depth_net().train(training)(features(), frame)
    for module in net.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    known, _ = net.train(training)(features(), frame)
    assert known.geometry[0, 2, :, 1, 2].tolist() == [0, 0, 1, 0, 0, 0, 0, 0]
    assert known.geometry[0, 4, :, 2, 5].tolist() == [0, 0, 0, 0, 0, 0, 0, 1]
    differs = (known.geometry != known.depth).any(dim=2)
    assert differs.nonzero().tolist() == [[0, 2, 1, 2], [0, 4, 2, 5]]
    assert torch.equal(known.context, plain.context)
    torch.testing.assert_close(known.depth.sum(dim=2), torch.ones(1, 6, 4, 6))


def test_lidar_depth_enters_before_the_transfer_along_rays():
    frame = with_lidar(recipe.frame(0, (64, 96), 0), (2, 17, 33, 3.4))
    net = depth_net(lidar_depth=True, transfer={"type": "IntraObjectTransfer", "length": 3})
    ray = net(features(), frame)[0].geometry[0, 2, :, 1, 2]
    assert ray[:3].tolist() == [0, 0, 1]
    assert (ray[3:6] > 0).all()
    assert (ray[3:6] < 1).all()
    assert ray[6:].tolist() == [0, 0]


def test_missing_lidar_depth_is_a_clear_error_in_training_and_evaluation():
    frame = recipe.frame(0, (64, 96), 0)
    assert frame.lidar_depth is None
    for training in (False, True):
        with pytest.raises(ConfigError, match=r"(?s)lidar depth.*as_input=True"):
            depth_net(lidar_depth=True).train(training)(features(), frame)


@MODELS.register_module()
class HalfOfThePast(torch.nn.Module):
    """A fusion of geometry that records what it is given."""

    def __init__(self, depth_bins, in_channels):
        super().__init__()
        self.arguments = depth_bins, in_channels
        self.calls = []

    def forward(self, features, geometry, frame, memory, lidar):
        self.calls.append((features, geometry, memory, lidar))
        return geometry / 2, Memory(torch.ones(1, dtype=torch.int64) + (memory.age if memory else 0))


def test_fusion_of_geometry_comes_after_the_transfer_and_before_mass_is_passed_on():
    frame = with_lidar(recipe.frame(0, (64, 96), 0), (2, 17, 33, 3.4))
    parts = {"transfer": {"type": "IntraObjectTransfer", "length": 3}, "inter": {"type": "InterObjectTransfer"}}
    plain, _ = depth_net(**parts)(features(), frame)
    net = depth_net(**parts, geometry_fusion={"type": "HalfOfThePast"}, lidar_depth=True)
    pyramids = []
    net.depth_branch.pyramid.register_forward_hook(lambda module, inputs, output: pyramids.append(output))
    fused, memory = net(features(), frame)
    _, memory = net(features(), frame, memory)
    assert memory.age.tolist() == [2]
    assert net.geometry_fusion.arguments == (BINS, 8)
    given_features, given, _, lidar = net.geometry_fusion.calls[0]
    assert torch.equal(given_features, pyramids[0])
    torch.testing.assert_close(given, plain.geometry)  # lidar is left to the fusion (spec/04 section 4.6)
    torch.testing.assert_close(fused.geometry, plain.geometry / 2)
    torch.testing.assert_close(fused.inter.weights, plain.inter.weights / 2)
    expected = torch.full((1, 6, 4, 6), -1)
    expected[0, 2, 1, 2] = 2
    assert torch.equal(lidar, expected)


def test_stereo_without_adjacent_images_is_a_clear_error():
    frame = recipe.frame(0, (64, 96), 0)
    frame.adjacent = None
    with pytest.raises(ConfigError, match="adjacent"):
        depth_net(stereo={"type": "StereoCostVolume"})(features(stereo=True), frame)


def test_every_parameter_learns_with_stereo_transfer_and_checkpointing():
    frame = recipe.frame(1, (64, 96), 0)
    stereo, transfer = {"type": "StereoCostVolume"}, {"type": "IntraObjectTransfer", "length": 3}
    nets = [depth_net(stereo=stereo, transfer=transfer, activation_checkpointing=on).train() for on in (False, True)]
    for net in nets:
        torch.manual_seed(0)  # dropout
        estimate, _ = net(features(stereo=True), frame)
        (estimate.geometry.square().sum() + estimate.context.square().sum()).backward()
    for (name, expected), found in zip(nets[0].named_parameters(), nets[1].parameters()):
        assert expected.grad is not None, name
        torch.testing.assert_close(found.grad, expected.grad, msg=name)
    for (name, expected), found in zip(nets[0].state_dict().items(), nets[1].state_dict().values()):
        torch.testing.assert_close(found, expected, msg=name)
