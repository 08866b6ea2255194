"""Encoders: shapes, the order of lifted channels, what the published weights imply about the blocks."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from mmdet3d_plugin.errors import ConfigError
from mmdet3d_plugin.models.volume_encoders import BevEncoder, ResidualStem2d, ResidualStem3d, VoxelEncoder3d
from mmdet3d_plugin.models.volume_encoders.residual import ResidualBlock, ResidualStages
from mmdet3d_plugin.models.volume_encoders.voxel_encoder import SpaceFusion
from mmdet3d_plugin.structures import Volume, VoxelGrid

BEV = VoxelGrid((-4.0, -3.0, -1.0), (4.0, 3.0, 3.0), (8, 12, 1))
VOXELS = VoxelGrid((-4.0, -3.0, -1.0), (4.0, 3.0, 3.0), (8, 12, 4))
STAGES = {"widths": (4, 6, 8), "depths": (1, 2, 1), "strides": (1, 2, 2)}


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def volume(grid: VoxelGrid, channels: int = 3) -> Volume:
    return Volume(torch.randn(2, channels, *grid.zyx, requires_grad=True), grid)


def test_bev_encoder_lifts_the_height_of_the_same_box() -> None:
    encoder = BevEncoder(3, **STAGES, fused_channels=5, out_channels=7, heights=4)
    source = volume(BEV)
    out = encoder(source)
    assert out.features.shape == (2, 7, 4, 12, 8)
    assert out.grid == VOXELS
    out.features.sum().backward()
    assert source.features.grad.abs().sum() > 0


def test_lifted_channel_is_channel_times_heights_plus_z() -> None:
    encoder = BevEncoder(3, **STAGES, fused_channels=5, out_channels=7, heights=4)
    with torch.no_grad():
        encoder.lift.weight.zero_()
        encoder.lift.bias.copy_(torch.arange(28.0))
    out = encoder(volume(BEV)).features
    for channel, z in ((0, 3), (2, 1), (6, 0)):
        assert (out[:, channel, z] == channel * 4 + z).all()


def test_voxel_encoder_keeps_the_grid() -> None:
    encoder = VoxelEncoder3d(3, **STAGES, out_channels=5)
    source = volume(VOXELS)
    out = encoder(source)
    assert out.features.shape == (2, 5, 4, 12, 8)
    assert out.grid == VOXELS
    out.features.sum().backward()
    assert source.features.grad.abs().sum() > 0


def test_fusion_in_space_is_a_convolution_of_the_interpolated_concatenation() -> None:
    fusion = SpaceFusion((4, 6, 8, 2), 5)
    sizes = ((4, 12, 8), (2, 6, 4), (1, 3, 2), (1, 2, 1))
    volumes = [torch.randn(2, c, *size, requires_grad=True) for c, size in zip((4, 6, 8, 2), sizes)]
    raised = [functional.interpolate(v, sizes[0], mode="trilinear", align_corners=True) for v in volumes]
    expected = functional.relu(fusion.norm(fusion.conv(torch.cat(raised, dim=1))))
    found = fusion(volumes)
    torch.testing.assert_close(found, expected)
    inputs = (*volumes, fusion.conv.weight)
    weights = torch.randn_like(found)
    gradients = zip(torch.autograd.grad(found, inputs, weights), torch.autograd.grad(expected, inputs, weights))
    for one, other in gradients:
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("stem", "grid"), [(ResidualStem2d, BEV), (ResidualStem3d, VOXELS)])
def test_stem_keeps_shape(stem: type, grid: VoxelGrid) -> None:
    source = volume(grid)
    assert stem(3)(source).features.shape == source.features.shape


@pytest.mark.parametrize("dims", [2, 3])
def test_block_with_zero_convolutions_is_its_rectified_shortcut(dims: int) -> None:
    block = ResidualBlock(dims, 3, 3, 1, projection=False).eval()
    torch.nn.init.zeros_(block.conv2.weight)
    x = torch.randn(2, 3, *(4,) * dims)
    torch.testing.assert_close(block(x), functional.relu(x))


@pytest.mark.parametrize(("dims", "parameters"), [(2, 3 * 4 * 9 + 4), (3, 3 * 4 * 27 + 2 * 4)])
def test_projection_is_a_biased_convolution_in_the_plane_and_a_normalised_one_in_space(
    dims: int, parameters: int
) -> None:
    shortcut = ResidualBlock(dims, 3, 4, 2, projection=True).shortcut
    assert sum(p.numel() for p in shortcut.parameters()) == parameters


def test_stages_return_one_output_each_at_their_resolution() -> None:
    outputs = ResidualStages(3, 3, **STAGES)(volume(VOXELS).features)
    assert [tuple(o.shape[1:]) for o in outputs] == [(4, 4, 12, 8), (6, 2, 6, 4), (8, 1, 3, 2)]


def test_every_stage_reaches_the_output() -> None:
    encoder = VoxelEncoder3d(3, **STAGES, out_channels=5)
    encoder(volume(VOXELS)).features.square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in encoder.parameters())


def test_checkpointing_changes_neither_gradients_nor_statistics() -> None:
    source, results = volume(VOXELS), []
    for checkpointing in (False, True):
        torch.manual_seed(1)
        encoder = VoxelEncoder3d(3, **STAGES, out_channels=5, activation_checkpointing=checkpointing).train()
        encoder(source).features.square().sum().backward()
        results.append([p.grad for p in encoder.parameters()] + list(encoder.buffers()))
    for plain, recomputed in zip(*results):
        torch.testing.assert_close(plain, recomputed)


def test_plane_stages_refuse_a_volume() -> None:
    with pytest.raises(ConfigError, match="bird's-eye-view"):
        ResidualStem2d(3)(volume(VOXELS))


def test_stage_lists_must_agree() -> None:
    with pytest.raises(ConfigError, match="differ in length"):
        VoxelEncoder3d(3, (4, 6), (1,), (1, 2), 5)
