"""Rules for the parts that the published methods share."""

from __future__ import annotations

from torch import Tensor

from ..key_map import Drop, Rename


def zyx_kernel(kernel: Tensor) -> Tensor:
    """Kernel of a volume convolution, published [C_out, C_in, Y, X, Z], ours [C_out, C_in, Z, Y, X]."""
    return kernel.permute(0, 1, 4, 2, 3).contiguous()


def linear_from_conv(kernel: Tensor) -> Tensor:
    """Weight [C_out, C_in] of a 1x1 convolution [C_out, C_in, 1, 1] over a single pixel."""
    return kernel.flatten(1)


_NET, _OURS = r"depth_net\.", "view_transformer.depth_net."

IMAGE_ENCODER = (
    Rename(r"img_backbone\.(.*)", r"image_encoder.backbone.\1"),
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
    Drop(_NET + r"occ_conv\.0\.downsample\..*", "the same tensor as depth_conv.0.downsample (spec/99 A3)"),
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
    Drop(r"view_transformer\.(dx|bx|nx)", "constants of the voxel grid, which the config gives"),
)

CONCAT_HISTORY = (
    Rename(r"history_keyframe_time_conv\.0\.(.*)", r"temporal.time_conv.\1"),
    Rename(r"history_keyframe_time_conv\.1\.(.*)", r"temporal.time_norm.\1"),
    Rename(r"history_keyframe_cat_conv\.0\.(.*)", r"temporal.fuse_conv.\1"),
    Rename(r"history_keyframe_cat_conv\.1\.(.*)", r"temporal.fuse_norm.\1"),
)
