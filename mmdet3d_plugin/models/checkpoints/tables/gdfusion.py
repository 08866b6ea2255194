"""Published checkpoints of methods whose window of past volumes is replaced by the four memories of GDFusion."""

from __future__ import annotations

from dataclasses import replace

from ..key_map import KeyTable, Rename
from .alocc import ALOCC
from .bevdetocc import BEVDETOCC

_DEPTH, _GEOMETRY = r"depth_net\.", "view_transformer.depth_net.geometry_fusion."
_SCENE = r"scene_his_func_after_vox_his\.scene_his_"

GDFUSION = (
    Rename(_DEPTH + r"depth_head\.(.*)", r"view_transformer.depth_net.depth_branch.output.\1"),
    Rename(_DEPTH + r"depth_head2\.(.*)", _GEOMETRY + r"output.\1"),
    Rename(_DEPTH + r"depth_his_fusion_post_layer\.gate_net\.(.*)", _GEOMETRY + r"memory_gate.layers.\1"),
    Rename(_DEPTH + r"gate_net\.(.*)", _GEOMETRY + r"geometry_gate.layers.\1"),
    Rename(_SCENE + r"q\.weight", "temporal.scene.query.weight"),
    Rename(_SCENE + r"k\.weight", "temporal.scene.key.weight"),
    Rename(_SCENE + r"v\.weight", "temporal.scene.value.weight"),
    Rename(_SCENE + r"learnable_(weight|bias)", r"temporal.scene.\1"),
    Rename(_SCENE + r"norm_weight", "temporal.scene.scale"),
    Rename(_SCENE + r"norm_bias", "temporal.scene.shift"),
    Rename(r"his_stream_offset_net\.history_stream_offset_net\.(.*)", r"temporal.motion.offset.\1"),
    Rename(r"time_emb_net\.(.*)", r"temporal.voxel.time_embedding.\1"),
    Rename(r"history_keyframe_time_conv\.0\.(.*)", r"temporal.voxel.time_conv.\1"),
    Rename(r"history_keyframe_time_conv\.1\.(.*)", r"temporal.voxel.time_norm.\1"),
    Rename(r"history_keyframe_cat_conv\.0\.(.*)", r"temporal.voxel.fuse_conv.\1"),
    Rename(r"history_keyframe_cat_conv\.1\.(.*)", r"temporal.voxel.fuse_norm.\1"),
)


def with_gdfusion(table: KeyTable) -> KeyTable:
    """The table of a method, for its checkpoints with GDFusion instead of a window of past volumes."""
    method = f"{table.method} with GDFusion"
    # Its rules come first: a window and a recurrent fusion have the same names in published checkpoints.
    return replace(table, method=method, rules=(*GDFUSION, *table.rules), variant="time_emb_net.")


ALOCC_GDFUSION = with_gdfusion(ALOCC)
BEVDETOCC_GDFUSION = with_gdfusion(BEVDETOCC)
