"""Lift and splat (Philion & Fidler 2020; spec/03): pixels spread over depth, summed into a grid."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...geometry import frustum, lift_frustum
from ...geometry.frustum import PixelAnchor
from ...registry import MODELS
from ...structures import CameraRig, DepthAux, Frame, Lifted, Memory, Volume, VoxelGrid
from ..layers.depth_bins import DepthBins
from ..protocols import DepthGuidance, ImageFeatures
from .depth_anchor import DepthAnchor, lifted_depths


@MODELS.register_module()
class DepthSplat(nn.Module):
    """A view transformer that knows how deep every pixel is.

    Args:
        grid: voxel grid `dict(lower=..., upper=..., shape=...)`; one voxel along z makes a bird's-eye view.
        depth_bins: (start, stop, step) of the depth bins, metres.
        depth_net: config of the depth network; it receives `depth_bins`.
        lifting: config of the rule by which points become voxels.
        pixel_anchor: where the features sit in the image, see :func:`mmdet3d_plugin.geometry.frustum`.
        depth_anchor: where in its bin a depth lies.
    """

    def __init__(
        self,
        grid: dict,
        depth_bins: tuple[float, float, float],
        depth_net: dict,
        lifting: dict,
        pixel_anchor: PixelAnchor = "centers",
        depth_anchor: DepthAnchor = "center",
    ) -> None:
        super().__init__()
        self.grid = VoxelGrid.from_config(grid)
        self.depth_bins = DepthBins.from_config(depth_bins)
        self.depth_net = MODELS.build(dict(depth_net, depth_bins=depth_bins))
        self.lifting = MODELS.build(lifting)
        self.pixel_anchor = pixel_anchor
        self.depth_anchor = depth_anchor

    def forward(
        self,
        features: ImageFeatures,
        frame: Frame,
        memory: Memory | None = None,
        guidance: DepthGuidance | None = None,
    ) -> tuple[Lifted, Memory | None]:
        """Lift the last feature level [B, N, C, h, w] to a volume [B, C', Z, Y, X]; there is no memory."""
        estimate = self.depth_net(features, frame, guidance)
        context = estimate.context
        with torch.autocast(context.device.type, enabled=False):
            stride = frame.images.shape[-1] // context.shape[-1]
            index = self._index(frame.rig, frame.images.shape[-2:], stride)
            volume = self.lifting(context.float(), estimate.geometry.float(), index, self.grid.zyx)
        return Lifted(Volume(volume, self.grid), DepthAux(estimate.depth, context)), None

    def _index(self, rig: CameraRig, image_size: tuple[int, int], stride: int) -> Tensor:
        """Continuous voxel index of every point of the frusta, [B, N, D, h, w, 3]."""
        depths = lifted_depths(self.depth_bins, self.depth_anchor, device=rig.ego_from_cam.device)
        return self.grid.continuous_index(lift_frustum(rig, frustum(*image_size, stride, depths, self.pixel_anchor)))
