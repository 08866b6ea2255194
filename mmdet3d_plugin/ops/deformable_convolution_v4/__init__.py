"""Deformable convolution with unbounded weights (Xiong et al. 2024, "DCNv4")."""

from __future__ import annotations

from torch import Tensor

from ..backend import runs_kernel

TAPS = 9  # of the 3x3 kernel


def deformable_convolution_v4(value: Tensor, offsets: Tensor, weights: Tensor, offset_scale: float = 1.0) -> Tensor:
    """Weighted sum of nine bilinear samples around every pixel, by group of channels (spec/01, "DCNv4 op").

        out[m, y, x, g] = sum over taps k of weights[m, y, x, g, k] * value_g(x + s (i_k + dx_k), y + s (j_k + dy_k))

    with s = `offset_scale`, (dx_k, dy_k) = offsets[m, y, x, g, k] and (i_k, j_k) the place of tap k in the 3x3
    kernel, i_k the outer loop: (-1, -1), (-1, 0), (-1, 1), (0, -1), ... Coordinates are pixel indices; outside of
    the image, between two pixels as well, `value` is zero. A sample that is not finite contributes nothing. Sums
    are float32 or wider.

    Args:
        value: [M, H, W, C] features, C divisible by G; channels g C / G ... (g + 1) C / G - 1 are group g.
        offsets: [M, H, W, G, 9, 2] shift (x, y) of every sample in pixels, float32 or wider.
        weights: [M, H, W, G, 9] factor of every sample; neither bounded nor normalised.
        offset_scale: factor of the offsets and of the 3x3 grid itself.

    Returns:
        [M, H, W, C] in the dtype of `value`.

    Raises:
        ValueError: shapes that do not go together.
    """
    _check(value, offsets, weights)
    if runs_kernel(value):
        from .kernel import deformable_convolution_v4 as run
    else:
        from .reference import deformable_convolution_v4 as run
    return run(value, offsets, weights, offset_scale)


def _check(value: Tensor, offsets: Tensor, weights: Tensor) -> None:
    if value.dim() != 4:
        raise ValueError(f"value is {tuple(value.shape)}, expected [M, H, W, C]")
    groups = weights.shape[3] if weights.dim() == 5 else "G"
    taps = (*value.shape[:3], groups, TAPS)
    if tuple(weights.shape) != taps:
        raise ValueError(f"weights is {tuple(weights.shape)}, expected {taps} to go with value")
    if tuple(offsets.shape) != (*taps, 2):
        raise ValueError(f"offsets is {tuple(offsets.shape)}, expected {(*taps, 2)} to go with weights")
    if weights.shape[3] < 1 or value.shape[3] % weights.shape[3]:
        raise ValueError(f"{value.shape[3]} channels do not divide into {weights.shape[3]} groups")
