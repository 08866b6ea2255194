"""Published ALOcc checkpoints of the 2-D family."""

from __future__ import annotations

from ..key_map import KeyTable, Rename
from .common import CONCAT_HISTORY, DEPTH_NET, IMAGE_ENCODER

_PUBLISHED, _OURS = r"img_bev_encoder_backbone\.layers\.(\d)\.(\d)", r"volume_encoder.backbone.stages.\1.\2"

ALOCC = KeyTable(
    method="ALOcc",
    signature="alocc_head.query_feat.",
    rules=(
        *IMAGE_ENCODER,
        *DEPTH_NET,
        *CONCAT_HISTORY,
        Rename(_PUBLISHED + r"\.conv([12])\.weight", _OURS + r".conv\3.weight"),
        Rename(_PUBLISHED + r"\.bn([12])\.(.*)", _OURS + r".norm\3.\4"),
        Rename(_PUBLISHED + r"\.downsample\.(.*)", _OURS + r".shortcut.\3"),
        Rename(r"img_bev_encoder_neck\.conv\.0\.(.*)", r"volume_encoder.neck.conv1.\1"),
        Rename(r"img_bev_encoder_neck\.conv\.1\.(.*)", r"volume_encoder.neck.norm1.\1"),
        Rename(r"img_bev_encoder_neck\.conv\.3\.(.*)", r"volume_encoder.neck.conv2.\1"),
        Rename(r"img_bev_encoder_neck\.conv\.4\.(.*)", r"volume_encoder.neck.norm2.\1"),
        Rename(r"final_conv\.(.*)", r"volume_encoder.lift.\1"),
        Rename(r"alocc_head\.query_feat\.weight", "head.queries"),
        Rename(r"alocc_head\.post_norm\.(.*)", r"head.norm.\1"),
        Rename(r"alocc_head\.mask_embed\.(.*)", r"head.voxel_embedding.\1"),
        Rename(r"alocc_head\.mask_embed2\.(.*)", r"head.image_embedding.\1"),
    ),
)
