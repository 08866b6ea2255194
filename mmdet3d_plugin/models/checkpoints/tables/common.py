"""Rules for the parts that the published methods share."""

from __future__ import annotations

from torch import Tensor

from ..key_map import Drop, Rename, Tie
from .backbones import BACKBONES


def zyx_kernel(kernel: Tensor) -> Tensor:
    """Kernel of a volume convolution, published [C_out, C_in, Y, X, Z], ours [C_out, C_in, Z, Y, X]."""
    return kernel.permute(0, 1, 4, 2, 3).contiguous()


def linear_from_conv(kernel: Tensor) -> Tensor:
    """Weight [C_out, C_in] of a 1x1 convolution [C_out, C_in, 1, 1] over a single pixel."""
    return kernel.flatten(1)


_NET, _OURS = r"depth_net\.", "view_transformer.depth_net."

IMAGE_ENCODER = (
    *BACKBONES,
    Rename(r"img_neck\.lateral_convs\.(\d)\.conv\.(.*)", r"image_encoder.neck.lateral.\1.\2"),
    Rename(r"img_neck\.fpn_convs\.0\.conv\.(.*)", r"image_encoder.neck.output.\1"),
)

DEPTH_NET = (
    Rename(_NET + r"reduce_conv\.(.*)", _OURS + r"reduce.\1"),
    Rename(_NET + r"bn\.(.*)", _OURS + r"camera_norm.\1"),
    Rename(_NET + r"(depth|context)_mlp\.fc1\.(.*)", _OURS + r"\1_gate.mlp.0.\2"),
    Rename(_NET + r"(depth|context)_mlp\.fc2\.(.*)", _OURS + r"\1_gate.mlp.2.\2"),
    Rename(_NET + r"(depth|context)_se\.conv_reduce\.weight", _OURS + r"\1_gate.gate.0.weight", linear_from_conv),
    Rename(_NET + r"(depth|context)_se\.conv_reduce\.bias", _OURS + r"\1_gate.gate.0.bias"),
    Rename(_NET + r"(depth|context)_se\.conv_expand\.weight", _OURS + r"\1_gate.gate.2.weight", linear_from_conv),
    Rename(_NET + r"(depth|context)_se\.conv_expand\.bias", _OURS + r"\1_gate.gate.2.bias"),
    Rename(_NET + r"context_conv\.(.*)", _OURS + r"context_output.\1"),
    Rename(_NET + r"cost_volumn_net\.(.*)", _OURS + r"cost_encoder.\1"),
    Rename(_NET + r"depth_conv\.0\.downsample\.(.*)", _OURS + r"shortcut.\1"),
    Tie(_NET + r"occ_conv\.0\.downsample\.(.*)", r"depth_net.depth_conv.0.downsample.\1"),  # spec/99 A3
    Rename(_NET + r"depth_conv\.([012])\.(.*)", _OURS + r"depth_branch.blocks.\1.\2"),
    *(
        rule
        for i in range(4)
        for rule in (
            Rename(
                _NET + rf"depth_conv\.3\.aspp{i + 1}\.atrous_conv\.(.*)",
                _OURS + rf"depth_branch.pyramid.branches.{i}.0.\1",
            ),
            Rename(
                _NET + rf"depth_conv\.3\.aspp{i + 1}\.bn\.(.*)",
                _OURS + rf"depth_branch.pyramid.branches.{i}.1.\1",
            ),
        )
    ),
    Rename(_NET + r"depth_conv\.3\.global_avg_pool\.(.*)", _OURS + r"depth_branch.pyramid.pooled.\1"),
    Rename(_NET + r"depth_conv\.3\.conv1\.(.*)", _OURS + r"depth_branch.pyramid.merge.0.\1"),
    Rename(_NET + r"depth_conv\.3\.bn1\.(.*)", _OURS + r"depth_branch.pyramid.merge.1.\1"),
    Rename(_NET + r"depth_conv\.4\.(.*)", _OURS + r"depth_branch.output.\1"),
    Rename(_NET + r"occ_conv\.([012])\.(.*)", _OURS + r"transfer.blocks.\1.\2"),
    Rename(_NET + r"occ_conv\.3\.(.*)", _OURS + r"transfer.output.\1"),
    Rename(_NET + r"depth2occ_inter_weight_net\.(.*)", _OURS + r"inter.weight.\1"),
    Rename(_NET + r"depth2occ_inter_bias_net\.(.*)", _OURS + r"inter.shift.\1"),
    Drop(r"view_transformer\.(dx|bx|nx)", "constants of the voxel grid, which the config gives"),
)

CONCAT_HISTORY = (
    Rename(r"history_keyframe_time_conv\.0\.(.*)", r"temporal.time_conv.\1"),
    Rename(r"history_keyframe_time_conv\.1\.(.*)", r"temporal.time_norm.\1"),
    Rename(r"history_keyframe_cat_conv\.0\.(.*)", r"temporal.fuse_conv.\1"),
    Rename(r"history_keyframe_cat_conv\.1\.(.*)", r"temporal.fuse_norm.\1"),
)

_BLOCKS = (  # published prefix, our prefix
    (r"pre_process\.layers\.0\.0", "volume_stem.block"),
    (r"img_bev_encoder_backbone\.layers\.(\d)\.(\d)", r"volume_encoder.backbone.stages.\1.\2"),
)

PLANE_ENCODER = (
    *(
        rule
        for published, ours in _BLOCKS
        for i in (1, 2)
        for rule in (
            Rename(rf"{published}\.conv{i}\.weight", rf"{ours}.conv{i}.weight"),
            Rename(rf"{published}\.bn{i}\.(?P<end>.*)", rf"{ours}.norm{i}.\g<end>"),
            Rename(rf"{published}\.downsample\.(?P<end>weight|bias)", rf"{ours}.shortcut.\g<end>"),
        )
    ),
    Rename(r"img_bev_encoder_neck\.conv\.0\.(.*)", r"volume_encoder.neck.conv1.\1"),
    Rename(r"img_bev_encoder_neck\.conv\.1\.(.*)", r"volume_encoder.neck.norm1.\1"),
    Rename(r"img_bev_encoder_neck\.conv\.3\.(.*)", r"volume_encoder.neck.conv2.\1"),
    Rename(r"img_bev_encoder_neck\.conv\.4\.(.*)", r"volume_encoder.neck.norm2.\1"),
    Rename(r"final_conv\.(.*)", r"volume_encoder.lift.\1"),
)

SPACE_ENCODER = (
    *(
        rule
        for published, ours in _BLOCKS
        for i in (1, 2)
        for rule in (
            Rename(rf"{published}\.conv{i}\.conv\.weight", rf"{ours}.conv{i}.weight", zyx_kernel),
            Rename(rf"{published}\.conv{i}\.bn\.(?P<end>.*)", rf"{ours}.norm{i}.\g<end>"),
            Rename(rf"{published}\.downsample\.conv\.weight", rf"{ours}.shortcut.0.weight", zyx_kernel),
            Rename(rf"{published}\.downsample\.bn\.(?P<end>.*)", rf"{ours}.shortcut.1.\g<end>"),
        )
    ),
    Rename(r"img_bev_encoder_neck\.conv\.conv\.weight", "volume_encoder.neck.conv.weight", zyx_kernel),
    Rename(r"img_bev_encoder_neck\.conv\.bn\.(.*)", r"volume_encoder.neck.norm.\1"),
)
