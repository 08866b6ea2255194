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
from mmdet3d_plugin.structures import CameraRig

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
    estimate = depth_net()(features(), recipe.frame(0, (64, 96), 0))
    assert estimate.depth.shape == (1, 6, 8, 4, 6)
    assert estimate.context.shape == (1, 6, 5, 4, 6)
    torch.testing.assert_close(estimate.depth.sum(dim=2), torch.ones(1, 6, 4, 6))
    assert torch.equal(estimate.geometry, estimate.depth)


def test_transfer_adds_mass_behind_surfaces_only():
    estimate = depth_net(transfer={"type": "IntraObjectTransfer", "length": 3})(
        features(), recipe.frame(0, (64, 96), 0)
    )
    assert (estimate.geometry >= estimate.depth).all()
    torch.testing.assert_close(estimate.geometry[:, :, 0], estimate.depth[:, :, 0])


def test_the_calibration_changes_the_depth():
    frame = recipe.frame(0, (64, 96), 0)
    net = depth_net()
    before = net(features(), frame).depth
    frame.rig.pixel_from_cam = frame.rig.pixel_from_cam * 2
    assert not torch.allclose(net(features(), frame).depth, before)


def test_guidance_replaces_lifted_depth_at_lidar_returns_only():
    frame = recipe.frame(0, (64, 96), 0)
    lidar = torch.zeros(1, 6, 64, 96)
    lidar[0, 2, 17, 33] = 3.4  # patch (1, 2), bin 2
    lidar[0, 2, 18, 33] = 5.0  # the same patch, farther
    net = depth_net()
    plain = net(features(), frame)
    guided = net(features(), frame, DepthGuidance(lidar, torch.tensor(1.0)))
    torch.testing.assert_close(guided.depth, plain.depth)
    assert guided.geometry[0, 2, :, 1, 2].tolist() == [0, 0, 1, 0, 0, 0, 0, 0]
    changed = (guided.geometry != plain.geometry).any(dim=2)
    assert changed.nonzero().tolist() == [[0, 2, 1, 2]]
    half = net(features(), frame, DepthGuidance(lidar, torch.tensor([0.5])))
    torch.testing.assert_close(half.geometry, (guided.geometry + plain.geometry) / 2)


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
        estimate = net(features(stereo=True), frame)
        (estimate.geometry.square().sum() + estimate.context.square().sum()).backward()
    for (name, expected), found in zip(nets[0].named_parameters(), nets[1].parameters()):
        assert expected.grad is not None, name
        torch.testing.assert_close(found.grad, expected.grad, msg=name)
    for (name, expected), found in zip(nets[0].state_dict().items(), nets[1].state_dict().values()):
        torch.testing.assert_close(found, expected, msg=name)
