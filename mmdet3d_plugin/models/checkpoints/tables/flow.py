"""Rules for the flow branch of published ALOcc heads."""

from __future__ import annotations

from torch import Tensor

from ..key_map import Rename
from .common import zyx_kernel


def x_before_y(outputs: Tensor) -> Tensor:
    """Outputs of the bins, published [K * 2, ...] with (v_y, v_x) innermost, as (v_x, v_y)."""
    return outputs.unflatten(0, (-1, 2)).flip(1).flatten(0, 1)


_HEAD, _OURS = r"alocc_head\.", "head.flow."

FLOW_HEAD = (
    Rename(_HEAD + r"cost_volum_net\.0\.(.*)", _OURS + r"cost_conv.\1"),
    Rename(_HEAD + r"cost_volum_net\.1\.(.*)", _OURS + r"cost_norm.\1"),
    Rename(_HEAD + r"flow_post_conv\.0\.weight", _OURS + "merge.weight", zyx_kernel),
    Rename(_HEAD + r"flow_post_conv\.0\.bias", _OURS + "merge.bias"),
    Rename(_HEAD + r"flow_predicter\.0\.(.*)", _OURS + r"classifier.0.\1"),
    Rename(_HEAD + r"flow_predicter\.2\.(.*)", _OURS + r"classifier.2.\1", x_before_y),
)
