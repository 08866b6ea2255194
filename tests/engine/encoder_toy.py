"""The toy network with an image backbone, which it does not use: for what depends on its parameters alone."""

from __future__ import annotations

from engine_toy import ToyNetwork
from torch import nn

from mmdet3d_plugin.registry import MODELS

SWIN = {
    "type": "SwinTransformer",
    "channels": 32,
    "depths": (1, 1, 2, 1),
    "window": 4,
    "out_stages": (2, 3),
}
NETWORK = {"type": "ToyEncoderNetwork", "backbone": SWIN, "width": 8}


@MODELS.register_module()
class ToyEncoderNetwork(ToyNetwork):
    """Holds `image_encoder.backbone`."""

    def __init__(self, backbone: dict, width: int = 8):
        super().__init__(width)
        self.image_encoder = nn.ModuleDict({"backbone": MODELS.build(backbone)})
