"""Lift and splat (Philion & Fidler 2020; spec/03): pixels spread over depth, summed into a grid."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...geometry import PerRig, frustum, lift_frustum
from ...geometry.frustum import PixelAnchor
from ...registry import MODELS
from ...structures import CameraRig, DepthAux, Frame, Lifted, Memory, Volume, VoxelGrid
from ..layers.depth_bins import DepthBins
from ..protocols import DepthGuidance, ImageFeatures
from .depth_anchor import DepthAnchor, lifted_depths
from .inter_object_transfer import TransferredMass


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
        lifting_box: corners `dict(lower=..., upper=...)` of another box than that of the grid, by which points are
            placed among the voxels; None = the box of the grid. The published ALOcc-2D-mini for SurroundOcc places
            them by the box of Occ3D (spec/99 A13).
    """

    def __init__(
        self,
        grid: dict,
        depth_bins: tuple[float, float, float],
        depth_net: dict,
        lifting: dict,
        pixel_anchor: PixelAnchor = "centers",
        depth_anchor: DepthAnchor = "center",
        lifting_box: dict | None = None,
    ) -> None:
        super().__init__()
        self.grid = VoxelGrid.from_config(grid)
        self.lifting_grid = self.grid
        if lifting_box is not None:
            self.lifting_grid = VoxelGrid.from_config(dict(lifting_box, shape=self.grid.shape))
        self.depth_bins = DepthBins.from_config(depth_bins)
        self.depth_net = MODELS.build(dict(depth_net, depth_bins=depth_bins))
        self.lifting = MODELS.build(lifting)
        self.pixel_anchor = pixel_anchor
        self.depth_anchor = depth_anchor
        self._frusta = PerRig[tuple[Tensor, Tensor]]()

    def forward(
        self,
        features: ImageFeatures,
        frame: Frame,
        memory: Memory | None = None,
        guidance: DepthGuidance | None = None,
    ) -> tuple[Lifted, Memory | None]:
        """Lift the last feature level [B, N, C, h, w] to a volume [B, C', Z, Y, X].

        The memory is that of the depth network.
        """
        estimate, memory = self.depth_net(features, frame, memory, guidance)
        context = estimate.context
        with torch.autocast(context.device.type, enabled=False):
            points, index = self._frustum_index(frame, context)
            weights = estimate.geometry.float()
            if estimate.inter is not None:
                index = torch.cat((index, self._transferred_index(frame.rig, points, estimate.inter)), dim=2)
                weights = torch.cat((weights, estimate.inter.weights.float()), dim=2)
            volume = self.lifting(context.float(), weights, index, self.grid.zyx)
        return Lifted(Volume(volume, self.grid), DepthAux(estimate.depth, context)), memory

    def _frustum_index(self, frame: Frame, context: Tensor) -> tuple[Tensor, Tensor]:
        """Points of the frusta above features [B, N, C, h, w].

        Returns:
            [D, h, w, 3] pixel position and depth (u, v, metres) of the points of one camera, and [B, N, D, h, w, 3] the
            continuous voxel index of those of all.
        """
        size, cells, device = tuple(frame.images.shape[-2:]), tuple(context.shape[-2:]), context.device

        def compute() -> tuple[Tensor, Tensor]:
            depths = lifted_depths(self.depth_bins, self.depth_anchor, device=device)
            points = frustum(*size, size[1] // cells[1], depths, self.pixel_anchor)
            return points, self._index(frame.rig, points)

        return self._frusta.get(frame.rig, (size, cells, device), compute)

    def _index(self, rig: CameraRig, points: Tensor) -> Tensor:
        """Continuous voxel index of frustum points ([B, N,] K, h, w, 3), [B, N, K, h, w, 3]."""
        return self.lifting_grid.continuous_index(lift_frustum(rig, points))

    def _transferred_index(self, rig: CameraRig, points: Tensor, inter: TransferredMass) -> Tensor:
        """Continuous voxel index of transferred mass, [B, N, K, h, w, 3]; infinite where there is no bin."""
        pixels = points[0, ..., :2] + inter.shifts.float()
        depths = points[:, 0, 0, 2][inter.bins.clamp(min=0)]
        index = self._index(rig, torch.cat((pixels, depths[..., None]), dim=-1))
        return index.masked_fill((inter.bins < 0)[..., None], torch.inf)
