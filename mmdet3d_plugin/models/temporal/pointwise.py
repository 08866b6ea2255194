"""1x1 convolutions over volumes as matrix products: what fuses frames one by one, without stacking them."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


def folded(conv: nn.Module, norm: _BatchNorm) -> tuple[Tensor, Tensor]:
    """A 1x1 convolution and the normalisation behind it, as one affine map; valid in evaluation only.

    Args:
        conv: convolution whose kernel covers one cell, C_in to C_out channels, with bias.
        norm: its normalisation, which uses running statistics.

    Returns:
        weight [C_out, C_in] and bias [C_out].
    """
    scale = torch.rsqrt(norm.running_var + norm.eps) * norm.weight
    bias = (conv.bias - norm.running_mean) * scale + norm.bias
    return conv.weight.flatten(1) * scale[:, None], bias


def pointwise(features: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Apply an affine map to the channels of every cell.

    Args:
        features: [B, C_in, Z, Y, X].
        weight: [C_out, C_in].
        bias: [C_out], or [B, C_out] with its own for every lane; None adds nothing.

    Returns:
        [B, C_out, Z, Y, X].
    """
    mapped = torch.matmul(weight, features.flatten(2))
    if bias is not None:
        mapped += bias.to(mapped.dtype)[..., None]
    return mapped.unflatten(2, features.shape[2:])
