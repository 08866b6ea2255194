"""Rules for image backbones, inside of published models and on their own."""

from __future__ import annotations

import math

from torch import Tensor

from ..key_map import Drop, Rename, Rule

_NET, _OURS = r"img_backbone\.", "image_encoder.backbone."
_SWIN, _OUR_STAGE = _NET + r"stages\.(\d)\.", _OURS + r"stages.\1."
_SWIN_BLOCK, _OUR_BLOCK = _SWIN + r"blocks\.(\d+)\.", _OUR_STAGE + r"blocks.\2."

RESNET = (Rename(_NET + r"(conv1|bn1|layer\d)\.(.*)", _OURS + r"\1.\2"),)  # the names of torchvision

SWIN = (
    Rename(_NET + r"absolute_pos_embed", _OURS + "positions"),
    Rename(_NET + r"patch_embed\.projection\.(weight|bias)", _OURS + r"patches.\1"),
    Rename(_NET + r"patch_embed\.norm\.(weight|bias)", _OURS + r"patch_norm.\1"),
    Rename(_SWIN_BLOCK + r"norm([12])\.(weight|bias)", _OUR_BLOCK + r"norm\3.\4"),
    Rename(_SWIN_BLOCK + r"attn\.w_msa\.relative_position_bias_table", _OUR_BLOCK + "attention.bias_table"),
    Drop(_SWIN_BLOCK + r"attn\.w_msa\.relative_position_index", "a constant that follows from the window"),
    Rename(_SWIN_BLOCK + r"attn\.w_msa\.qkv\.(weight|bias)", _OUR_BLOCK + r"attention.qkv.\3"),
    Rename(_SWIN_BLOCK + r"attn\.w_msa\.proj\.(weight|bias)", _OUR_BLOCK + r"attention.output.\3"),
    Rename(_SWIN_BLOCK + r"ffn\.layers\.0\.0\.(weight|bias)", _OUR_BLOCK + r"mlp.0.\3"),
    Rename(_SWIN_BLOCK + r"ffn\.layers\.1\.(weight|bias)", _OUR_BLOCK + r"mlp.2.\3"),
    Rename(_SWIN + r"downsample\.(norm|reduction)\.(weight|bias)", _OUR_STAGE + r"merge.\2.\3"),
    Rename(_NET + r"norm([0-3])\.(weight|bias)", _OURS + r"norms.\1.\2"),
)

_INTERN = _NET + r"levels\.(\d)\."
_INTERN_BLOCK = _INTERN + r"blocks\.(\d+)\."

INTERN_IMAGE = (
    Rename(_NET + r"patch_embed\.conv([12])\.(weight|bias)", _OURS + r"stem.conv\1.\2"),
    Rename(_NET + r"patch_embed\.norm([12])\.1\.(weight|bias)", _OURS + r"stem.norm\1.\2"),
    Rename(_INTERN_BLOCK + r"gamma([12])", _OUR_BLOCK + r"scale\3"),
    Rename(_INTERN_BLOCK + r"norm([12])\.0\.(weight|bias)", _OUR_BLOCK + r"norm\3.\4"),
    Rename(_INTERN_BLOCK + r"dcn\.offset_mask\.(weight|bias)", _OUR_BLOCK + r"convolution.sampling.\3"),
    Rename(_INTERN_BLOCK + r"dcn\.value_proj\.(weight|bias)", _OUR_BLOCK + r"convolution.value.\3"),
    Rename(_INTERN_BLOCK + r"dcn\.output_proj\.(weight|bias)", _OUR_BLOCK + r"convolution.output.\3"),
    Rename(_INTERN_BLOCK + r"mlp\.fc1\.(weight|bias)", _OUR_BLOCK + r"mlp.0.\3"),
    Rename(_INTERN_BLOCK + r"mlp\.fc2\.(weight|bias)", _OUR_BLOCK + r"mlp.2.\3"),
    Rename(_INTERN + r"norm\.0\.(weight|bias)", _OUR_STAGE + r"norm.\2"),
    Rename(_INTERN + r"downsample\.conv\.(weight|bias)", _OUR_STAGE + r"downsample.conv.\2"),
    Rename(_INTERN + r"downsample\.norm\.1\.(weight|bias)", _OUR_STAGE + r"downsample.norm.\2"),
)

BACKBONES: tuple[Rule, ...] = (*RESNET, *SWIN, *INTERN_IMAGE)


def map_of_positions(table: Tensor) -> Tensor:
    """Positions [1, C, n, n] of a table [1, n n, C] with one row per patch; a map stays as it is."""
    if table.dim() != 3:
        return table
    side = math.isqrt(table.shape[1])
    return table.transpose(1, 2).unflatten(2, (side, -1)).contiguous()


def merged_by_channel(weight: Tensor) -> Tensor:
    """The inputs [..., 4 C] of a patch merging in our order (channel, line, column).

    The authors of Swin concatenate the four pixels one after the other, columns outside: (column, line, channel).
    """
    return weight.unflatten(-1, (2, 2, -1)).transpose(-1, -3).flatten(-3).contiguous()


_LAYER, _LAYER_BLOCK = r"layers\.(\d)\.", r"layers\.(\d)\.blocks\.(\d+)\."

OFFICIAL_SWIN: tuple[Rule, ...] = (  # files of its authors hold the backbone and a classifier
    Rename(r"absolute_pos_embed", _OURS + "positions", map_of_positions),
    Rename(r"patch_embed\.proj\.(weight|bias)", _OURS + r"patches.\1"),
    Rename(r"patch_embed\.norm\.(weight|bias)", _OURS + r"patch_norm.\1"),
    Rename(_LAYER_BLOCK + r"norm([12])\.(weight|bias)", _OUR_BLOCK + r"norm\3.\4"),
    Rename(_LAYER_BLOCK + r"attn\.relative_position_bias_table", _OUR_BLOCK + "attention.bias_table"),
    Drop(_LAYER_BLOCK + r"(attn\.relative_position_index|attn_mask)", "a constant that follows from the window"),
    Rename(_LAYER_BLOCK + r"attn\.qkv\.(weight|bias)", _OUR_BLOCK + r"attention.qkv.\3"),
    Rename(_LAYER_BLOCK + r"attn\.proj\.(weight|bias)", _OUR_BLOCK + r"attention.output.\3"),
    Rename(_LAYER_BLOCK + r"mlp\.fc1\.(weight|bias)", _OUR_BLOCK + r"mlp.0.\3"),
    Rename(_LAYER_BLOCK + r"mlp\.fc2\.(weight|bias)", _OUR_BLOCK + r"mlp.2.\3"),
    Rename(_LAYER + r"downsample\.(norm|reduction)\.(weight|bias)", _OUR_STAGE + r"merge.\2.\3", merged_by_channel),
    Rename(r"norm\.(weight|bias)", _OURS + r"norms.3.\1"),  # before the classifier: the output of the last stage
    Rename(r"norm([0-3])\.(weight|bias)", _OURS + r"norms.\1.\2"),
)
