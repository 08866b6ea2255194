"""Published BEVDetOcc checkpoints."""

from __future__ import annotations

from ..key_map import KeyTable, Rename
from .common import CONCAT_HISTORY, DEPTH_NET, IMAGE_ENCODER, zyx_kernel

_BLOCKS = (  # published prefix, our prefix
    (r"pre_process\.layers\.0\.0", "volume_stem.block"),
    (r"img_bev_encoder_backbone\.layers\.(\d)\.(\d)", r"volume_encoder.backbone.stages.\1.\2"),
)

_SPACE_BLOCKS = tuple(
    rule
    for published, ours in _BLOCKS
    for i in (1, 2)
    for rule in (
        Rename(rf"{published}\.conv{i}\.conv\.weight", rf"{ours}.conv{i}.weight", zyx_kernel),
        Rename(rf"{published}\.conv{i}\.bn\.(?P<end>.*)", rf"{ours}.norm{i}.\g<end>"),
        Rename(rf"{published}\.downsample\.conv\.weight", rf"{ours}.shortcut.0.weight", zyx_kernel),
        Rename(rf"{published}\.downsample\.bn\.(?P<end>.*)", rf"{ours}.shortcut.1.\g<end>"),
    )
)

BEVDETOCC = KeyTable(
    method="BEVDetOcc",
    signature="occupancy_head.predicter.",
    rules=(
        *IMAGE_ENCODER,
        *DEPTH_NET,
        *CONCAT_HISTORY,
        *_SPACE_BLOCKS,
        Rename(r"img_bev_encoder_neck\.conv\.conv\.weight", "volume_encoder.neck.conv.weight", zyx_kernel),
        Rename(r"img_bev_encoder_neck\.conv\.bn\.(.*)", r"volume_encoder.neck.norm.\1"),
        Rename(r"occupancy_head\.final_conv\.conv\.weight", "head.conv.weight", zyx_kernel),
        Rename(r"occupancy_head\.final_conv\.conv\.bias", "head.conv.bias"),
        Rename(r"occupancy_head\.predicter\.(.*)", r"head.classifier.\1"),
    ),
)
