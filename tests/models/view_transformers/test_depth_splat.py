"""Lifting with a known depth."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mmdet3d_plugin.errors import ConfigError
from mmdet3d_plugin.models.layers.depth_bins import DepthBins
from mmdet3d_plugin.models.protocols import ImageFeatures
from mmdet3d_plugin.models.view_transformers import DepthEstimate, DepthSplat
from mmdet3d_plugin.models.view_transformers.depth_anchor import lifted_depths
from mmdet3d_plugin.parity import recipe
from mmdet3d_plugin.registry import MODELS

GRID = {"lower": (-8.0, -8.0, -2.0), "upper": (8.0, 8.0, 2.0), "shape": (16, 16, 4)}
BINS = (1.0, 6.0, 1.0)
NET = {"type": "CameraAwareDepthNet", "in_channels": 6, "mid_channels": 8, "context_channels": 2, "pyramid_channels": 4}


class KnownDepth(nn.Module):
    """Every pixel sees the feature (1, 2) at one depth bin."""

    def __init__(self, depth_bin):
        super().__init__()
        self.depth_bin = depth_bin

    def forward(self, features, frame, memory, guidance):
        batch, cameras, _, h, w = features.levels[-1].shape
        depth = torch.zeros(batch, cameras, 5, h, w)
        depth[:, :, self.depth_bin] = 1
        context = torch.tensor([1.0, 2.0]).view(1, 1, 2, 1, 1).expand(batch, cameras, 2, h, w)
        return DepthEstimate(depth, depth, context), memory


def splat(lifting, depth_bin=2, grid=GRID, **arguments):
    net = DepthSplat(grid, BINS, NET, {"type": lifting}, **arguments)
    net.depth_net = KnownDepth(depth_bin)
    return net


def lift(net, frame=None):
    frame = frame or recipe.frame(0, (32, 48), 0)
    lifted, memory = net(ImageFeatures((torch.zeros(1, 6, 6, 2, 3),)), frame)
    assert memory is None
    return lifted


def test_every_pixel_lands_in_the_voxel_of_its_ray_at_its_depth():
    frame = recipe.frame(0, (32, 48), 0)
    volume = lift(splat("HardPooling"), frame).volume
    expected = torch.zeros(2, 4, 16, 16)
    pose, intrinsics = frame.rig.ego_from_cam[0].double(), frame.rig.pixel_from_cam[0].double()
    crop = frame.rig.crop_from_pixel[0].double()
    for camera in range(6):
        for v in (7.5, 23.5):
            for u in (7.5, 23.5, 39.5):
                pixel = torch.linalg.inv(crop[camera]) @ torch.tensor([u, v, 1.0], dtype=torch.float64)
                ray = torch.linalg.inv(intrinsics[camera]) @ pixel
                point = pose[camera, :3, :3] @ (3.5 * ray) + pose[camera, :3, 3]  # the centre of bin 2
                x, y, z = ((point - torch.tensor([-8.0, -8.0, -2.0])) // 1).long().tolist()
                if 0 <= x < 16 and 0 <= y < 16 and 0 <= z < 4:
                    expected[:, z, y, x] += torch.tensor([1.0, 2.0])
    assert expected.sum() > 0
    torch.testing.assert_close(volume.features[0], expected)


def test_published_anchors_lift_to_the_near_edge():
    bins = DepthBins.from_config(BINS)
    assert lifted_depths(bins, "edge").tolist() == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert lifted_depths(bins, "center").tolist() == [1.5, 2.5, 3.5, 4.5, 5.5]
    centre = lift(splat("HardPooling")).volume.features
    edge = lift(splat("HardPooling", depth_anchor="edge", pixel_anchor="corners")).volume.features
    assert not torch.equal(centre, edge)


def test_soft_filling_places_a_voxel_at_its_centre_by_default():
    lifting = MODELS.build({"type": "SoftFilling"})
    context, weights = torch.ones(1, 1, 1, 1, 1), torch.ones(1, 1, 1, 1, 1)
    index = torch.tensor([2.5, 1.5, 0.5]).view(1, 1, 1, 1, 1, 3)
    volume = lifting(context, weights, index, (2, 3, 4))
    assert volume[0, 0, 0, 1, 2] == 1
    assert volume.sum() == 1
    corner = MODELS.build({"type": "SoftFilling", "anchor": "corner"})(context, weights, index, (2, 3, 4))
    assert corner.count_nonzero() == 8


def test_scene_augmentation_moves_the_volume():
    frame = recipe.frame(0, (32, 48), 0)
    plain = lift(splat("HardPooling"), frame).volume.features
    flip = torch.diag(torch.tensor([1.0, -1.0, 1.0, 1.0]))
    frame.rig.grid_from_ego = flip[None]
    torch.testing.assert_close(lift(splat("HardPooling"), frame).volume.features, plain.flip(-2))


def test_another_lifting_box_scales_positions_and_keeps_the_grid():
    half = {"lower": (-4.0, -4.0, -1.0), "upper": (4.0, 4.0, 1.0)}
    placed = lift(splat("HardPooling", lifting_box=half)).volume
    expected = lift(splat("HardPooling", grid=dict(half, shape=GRID["shape"]))).volume
    torch.testing.assert_close(placed.features, expected.features)
    assert placed.features.sum() > 0
    assert placed.grid.lower == GRID["lower"]
    assert placed.grid.upper == GRID["upper"]


def test_a_slab_is_a_birds_eye_view():
    slab = dict(GRID, shape=(16, 16, 1))
    lifted = lift(splat("SoftFilling", grid=slab))
    assert lifted.volume.features.shape == (1, 2, 1, 16, 16)
    assert lifted.volume.grid.is_bev
    assert lifted.aux.depth.shape == (1, 6, 5, 2, 3)


def test_coordinates_stay_exact_under_autocast():
    plain = lift(splat("HardPooling")).volume.features
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(lift(splat("HardPooling")).volume.features, plain)


def test_gradient_reaches_depth_and_context():
    net = DepthSplat(GRID, BINS, NET, {"type": "SoftFilling"})
    level = torch.rand(1, 6, 6, 2, 3, requires_grad=True)
    lifted, _ = net(ImageFeatures((level,)), recipe.frame(0, (32, 48), 0))
    lifted.volume.features.square().sum().backward()
    assert level.grad.abs().sum() > 0
    assert net.depth_net.depth_branch.output.weight.grad.abs().sum() > 0


def test_a_misspelt_stage_argument_names_the_right_one():
    with pytest.raises(ConfigError, match="mid_channels"):
        DepthSplat(GRID, BINS, dict(NET, mid_chanels=8), {"type": "HardPooling"})
