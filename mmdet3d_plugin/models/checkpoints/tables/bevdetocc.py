"""Published BEVDetOcc checkpoints."""

from __future__ import annotations

from ..key_map import KeyTable, Rename
from .common import CONCAT_HISTORY, DEPTH_NET, IMAGE_ENCODER, SPACE_ENCODER, zyx_kernel

BEVDETOCC = KeyTable(
    method="BEVDetOcc",
    signature="occupancy_head.predicter.",
    rules=(
        *IMAGE_ENCODER,
        *DEPTH_NET,
        *CONCAT_HISTORY,
        *SPACE_ENCODER,
        Rename(r"occupancy_head\.final_conv\.conv\.weight", "head.conv.weight", zyx_kernel),
        Rename(r"occupancy_head\.final_conv\.conv\.bias", "head.conv.bias"),
        Rename(r"occupancy_head\.predicter\.(.*)", r"head.classifier.\1"),
    ),
)
