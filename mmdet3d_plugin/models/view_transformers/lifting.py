"""How points of the image frusta become features of a voxel grid: two interchangeable rules."""

from __future__ import annotations

from torch import Tensor, nn

from ...ops import trilinear_splat, voxel_pool
from ...ops.voxel_pool import Rounding
from ...registry import MODELS
from ...structures.grid import Anchor

Shape = tuple[int, int, int]


@MODELS.register_module()
class HardPooling(nn.Module):
    """A point belongs to the voxel that holds it (spec/03, "Hard pooling").

    Args:
        rounding: "floor", or "truncate" as in the published models, which folds points up to one voxel
            outside of the lower bounds into the grid (spec/99 A15).
    """

    def __init__(self, rounding: Rounding = "floor") -> None:
        super().__init__()
        self.rounding = rounding

    def forward(self, context: Tensor, weights: Tensor, index: Tensor, shape: Shape) -> Tensor:
        """Sum weighted features per voxel.

        Args:
            context: [B, N, C, h, w] features of the pixels.
            weights: [B, N, D, h, w] weight of every point.
            index: [B, N, D, h, w, 3] continuous voxel index (x, y, z) of every point.
            shape: (Z, Y, X).

        Returns:
            [B, C, Z, Y, X].
        """
        return voxel_pool(context, weights, index, shape, self.rounding)


@MODELS.register_module()
class SoftFilling(nn.Module):
    """A point is shared by the eight voxels around it, trilinearly (ALOcc; spec/03, "Soft filling").

    Args:
        anchor: where a voxel is located: at its "center", or at its lower "corner" as in the published
            models, whose features are therefore shifted by half a voxel (spec/03, spec/99 A16).
    """

    def __init__(self, anchor: Anchor = "center") -> None:
        super().__init__()
        self.offset = 0.5 if anchor == "center" else 0.0

    def forward(self, context: Tensor, weights: Tensor, index: Tensor, shape: Shape) -> Tensor:
        """Sum weighted features per voxel; arguments and result as in :meth:`HardPooling.forward`."""
        return trilinear_splat(context, weights, index - self.offset, shape)
