"""Inputs for deformable convolutions, shared by their tests and benchmark."""

from __future__ import annotations

import torch
from torch import Tensor

SIZES = {  # [M, H, W, C], groups: stages of FlashInternImage-T on six images
    "stage0": ((6, 64, 176, 64), 4),
    "stage2": ((6, 16, 44, 256), 16),
    "toy": ((1, 16, 16, 32), 2),
}


def random_samples(
    images: int = 2,
    height: int = 3,
    width: int = 4,
    groups: int = 2,
    channels: int = 3,
    spread: float = 1.5,
    shift: float = 0.0,
    dtype: torch.dtype = torch.float64,
    seed: int = 0,
) -> tuple[Tensor, Tensor, Tensor]:
    """value [M, H, W, G C], offsets [M, H, W, G, 9, 2] with a deviation of `spread` pixels, weights [M, H, W, G, 9]."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    offsets = normal(images, height, width, groups, 9, 2) * spread + shift
    coordinates = torch.float64 if dtype == torch.float64 else torch.float32
    value = normal(images, height, width, groups * channels).to(dtype)
    return value, offsets.to(coordinates), normal(images, height, width, groups, 9).to(dtype)
