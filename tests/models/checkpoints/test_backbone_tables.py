"""Published image backbones: every key has its place, and no other."""

from __future__ import annotations

import pytest
import torch
from published_manifests import network, published, table_of

from mmdet3d_plugin.errors import CheckpointError
from mmdet3d_plugin.models.checkpoints import load_published

SWIN = "alocc_3d_swin_base_512x1408_geomim_preatrain_16f_gt_depth"
INTERN = "alocc_3d_internimage_tiny_256x704_bevdet_preatrain_16f_gt_depth"
RESNET = "alocc_3d_r50_256x704_bevdet_preatrain_16f"


@pytest.mark.parametrize("stem", [SWIN, INTERN, RESNET])
def test_every_key_of_the_image_encoder_has_a_place_with_its_shape(stem):
    state = {k: v for k, v in published(stem).items() if k.startswith(("img_backbone.", "img_neck."))}
    ours, dropped = table_of(stem).convert(state)
    own = {k: v.shape for k, v in network(stem).state_dict().items() if k.startswith("image_encoder.")}
    assert {k: v.shape for k, v in ours.items()} == own
    left_out = [key for keys in dropped.values() for key in keys]
    assert all(key.endswith("relative_position_index") for key in left_out)
    assert len(left_out) == (24 if stem == SWIN else 0)


@pytest.mark.parametrize(
    ("stem", "key", "ours"),
    [
        (SWIN, "absolute_pos_embed", "positions"),
        (SWIN, "patch_embed.projection.weight", "patches.weight"),
        (SWIN, "stages.2.blocks.17.attn.w_msa.qkv.bias", "stages.2.blocks.17.attention.qkv.bias"),
        (SWIN, "stages.0.blocks.1.ffn.layers.1.weight", "stages.0.blocks.1.mlp.2.weight"),
        (SWIN, "stages.1.downsample.reduction.weight", "stages.1.merge.reduction.weight"),
        (SWIN, "norm3.bias", "norms.3.bias"),
        (INTERN, "patch_embed.norm2.1.weight", "stem.norm2.weight"),
        (INTERN, "levels.2.blocks.17.gamma2", "stages.2.blocks.17.scale2"),
        (INTERN, "levels.1.blocks.0.dcn.offset_mask.weight", "stages.1.blocks.0.convolution.sampling.weight"),
        (INTERN, "levels.3.norm.0.bias", "stages.3.norm.bias"),
        (INTERN, "levels.0.downsample.norm.1.weight", "stages.0.downsample.norm.weight"),
        (RESNET, "layer3.5.bn2.running_var", "layer3.5.bn2.running_var"),
    ],
)
def test_a_key_that_is_missing_renamed_or_misshapen_is_named_on_both_sides(stem, key, ours):
    theirs, target = f"img_backbone.{key}", f"image_encoder.backbone.{ours}"
    state = published(stem)
    tensor = state.pop(theirs)
    with pytest.raises(CheckpointError) as error:
        load_published(network(stem), state, table_of(stem), stem)
    assert target in str(error.value)
    assert theirs in str(error.value)
    with pytest.raises(CheckpointError, match=f"{theirs}_x"):
        load_published(network(stem), state | {f"{theirs}_x": tensor}, table_of(stem), stem)
    misshapen = torch.empty(*tensor.shape, 2, device="meta")
    with pytest.raises(CheckpointError, match=r"1 tensors have another shape: image_encoder\.backbone"):
        load_published(network(stem), state | {theirs: misshapen}, table_of(stem), stem)
