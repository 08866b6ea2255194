"""From camera images to feature levels."""

from __future__ import annotations

from torch import nn

from ...errors import ConfigError
from ...registry import MODELS
from ...structures import Frame
from ..protocols import ImageFeatures


@MODELS.register_module()
class ImageEncoder(nn.Module):
    """A backbone and a neck, applied to every camera.

    The neck takes as many of the coarsest backbone outputs as it has inputs. A finer output that is left over
    is a matching feature for stereo depth: it becomes `levels[0]`; adjacent images are encoded up to there.

    Args:
        backbone: config of a network from images to maps, finest first.
        neck: config of a network from maps to one map, which becomes the last level.
    """

    def __init__(self, backbone: dict, neck: dict) -> None:
        super().__init__()
        self.backbone = MODELS.build(backbone)
        self.neck = MODELS.build(neck)
        self.num_matching = len(self.backbone.out_channels) - self.neck.num_levels
        if self.num_matching not in (0, 1):
            raise ConfigError(
                "the neck does not fit the backbone",
                found=f"{len(self.backbone.out_channels)} outputs, {self.neck.num_levels} inputs",
                expected="as many outputs as inputs, or one finer output more (stereo)",
            )

    def forward(self, frame: Frame) -> ImageFeatures:
        """Encode the images of a frame.

        Args:
            frame: normalised images [B, N, 3, H, W], and adjacent ones of the same shape for stereo.

        Returns:
            levels [B, N, C, h, w]: the matching feature if there is one, then the output of the neck; and the
            matching feature of the adjacent images, without gradient.
        """
        batch = frame.images.shape[:2]
        maps = self.backbone(frame.images.flatten(0, 1))
        fine, coarse = maps[: self.num_matching], maps[self.num_matching :]
        levels = tuple(level.unflatten(0, batch) for level in (*fine, self.neck(coarse)))
        adjacent = None
        if self.num_matching and frame.adjacent is not None:
            adjacent = self.backbone.finest(frame.adjacent.images.flatten(0, 1)).unflatten(0, batch)
        return ImageFeatures(levels, adjacent)
