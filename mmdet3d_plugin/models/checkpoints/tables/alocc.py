"""Published ALOcc checkpoints, of the 2-D and of the 3-D family."""

from __future__ import annotations

from ..key_map import KeyTable, Rename
from .common import CONCAT_HISTORY, DEPTH_NET, IMAGE_ENCODER, PLANE_ENCODER, SPACE_ENCODER
from .flow import FLOW_HEAD

ALOCC = KeyTable(
    method="ALOcc",
    signature="alocc_head.",
    rules=(
        *IMAGE_ENCODER,
        *DEPTH_NET,
        *CONCAT_HISTORY,
        *PLANE_ENCODER,
        *SPACE_ENCODER,
        *FLOW_HEAD,
        Rename(r"alocc_head\.query_feat\.weight", "head.queries"),
        Rename(r"alocc_head\.post_norm\.(.*)", r"head.norm.\1"),
        Rename(r"alocc_head\.mask_embed\.(.*)", r"head.voxel_embedding.\1"),
        Rename(r"alocc_head\.mask_embed2\.(.*)", r"head.image_embedding.\1"),
    ),
)
