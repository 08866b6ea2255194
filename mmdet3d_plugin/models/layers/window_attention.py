"""Self-attention within square windows of a map (Liu et al. 2021, "Swin Transformer")."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class WindowAttention(nn.Module):
    """Multi-head attention among the pixels of every window, with a learned bias per relative position.

    Windows tile the map from its first pixel; a map whose sides they do not divide is filled up with zeros on the
    right and below, and these zeros take part like pixels (spec/01). A shift moves the windows to the right and
    down, and those that then reach over the border continue on the other side, where pixels do not attend to
    those of another side.

    Args:
        channels: of input and output.
        heads: number of heads; divides `channels`.
        window: side of a window in pixels.
        shift: pixels by which the windows are moved, less than `window`; 0 = not.
    """

    def __init__(self, channels: int, heads: int, window: int, shift: int = 0) -> None:
        super().__init__()
        self.heads, self.window, self.shift = heads, window, shift
        self.qkv = nn.Linear(channels, 3 * channels)
        self.output = nn.Linear(channels, channels)
        self.bias_table = nn.Parameter(torch.zeros((2 * window - 1) ** 2, heads))
        nn.init.trunc_normal_(self.bias_table, std=0.02)
        self.register_buffer("relative_position", relative_positions(window), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map [M, H, W, C] to [M, H, W, C]."""
        height, width = x.shape[1:3]
        x = F.pad(x, (0, 0, 0, -width % self.window, 0, -height % self.window))
        size = x.shape[1:3]
        if self.shift:
            x = x.roll((-self.shift, -self.shift), (1, 2))
        windows = partition(x, self.window)
        qkv = self.qkv(windows).unflatten(-1, (3, self.heads, -1)).permute(3, 0, 1, 4, 2, 5)
        attended = self._attend(*qkv, size).movedim(-3, -2).flatten(-2)  # [M, windows, pixels, C]
        x = merge(self.output(attended), self.window, size)
        if self.shift:
            x = x.roll((self.shift, self.shift), (1, 2))
        return x[:, :height, :width]

    def _attend(self, query: Tensor, key: Tensor, value: Tensor, size: torch.Size) -> Tensor:
        """Attention over [M, windows, heads, pixels, C / heads] of a map of `size`."""
        bias = self.bias_table[self.relative_position].permute(2, 0, 1).to(query.dtype)
        axis = 0  # of the windows, folded into the batch
        if self.shift:
            bias = bias + shift_mask(size, self.window, self.shift, query.device).to(bias.dtype)[:, None]
            bias, axis = bias.flatten(0, 1), 1  # one bias per window: folded into the heads
        folded = (t.flatten(axis, axis + 1) for t in (query, key, value))
        return F.scaled_dot_product_attention(*folded, attn_mask=bias[None]).view(query.shape)


def partition(x: Tensor, window: int) -> Tensor:
    """Cut a map [M, H, W, C], its sides multiples of `window`, into [M, windows, window^2, C], row by row."""
    images, height, width, channels = x.shape
    x = x.view(images, height // window, window, width // window, window, channels)
    return x.transpose(2, 3).reshape(images, -1, window * window, channels)


def merge(windows: Tensor, window: int, size: torch.Size | tuple[int, int]) -> Tensor:
    """Inverse of :func:`partition` for a map of `size` (H, W)."""
    height, width = size
    shape = windows.shape[0], height // window, width // window, window, window, windows.shape[-1]
    return windows.view(shape).transpose(2, 3).reshape(windows.shape[0], height, width, -1)


def relative_positions(window: int) -> Tensor:
    """Row of the bias table for every pair of pixels of a window.

    Returns:
        [window^2, window^2] int64: (dy + window - 1) (2 window - 1) + dx + window - 1 for the position (dx, dy) of the
        first pixel as seen from the second.
    """
    line, column = torch.arange(window * window) // window, torch.arange(window * window) % window
    dy, dx = line[:, None] - line, column[:, None] - column
    return (dy + window - 1) * (2 * window - 1) + dx + window - 1


def shift_mask(size: torch.Size | tuple[int, int], window: int, shift: int, device: torch.device) -> Tensor:
    """What is added to the scores of attention on a map of `size` (H, W) that was rolled by `-shift`.

    Returns:
        [windows, window^2, window^2]: 0 where two pixels were on the same side of the border before, else -inf.
    """
    sides = [(torch.arange(n, device=device) >= n - shift).long() for n in size]  # 1 = came from the other side
    side = (2 * sides[0][:, None] + sides[1])[None, :, :, None]
    side = partition(side, window)[0, :, :, 0]
    apart = side[:, :, None] != side[:, None, :]
    return torch.zeros(apart.shape, device=device).masked_fill(apart, float("-inf"))
