"""A linear layer that learns the scene while it drives through it (GDFusion; spec/04 section 4.5).

Notation: x [B, C, K] features of K cells; q, k, v = Q x, K x, V x; N(h) normalises the channels of a cell.
The layer f(z) = N(W z + b) * gamma + beta learns, by one step of gradient descent per frame, to turn k into v - k.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ...registry import MODELS
from ...structures import Memory, TensorRecord

_EPSILON = 1e-6
_CELLS = 1 << 16  # at a time in evaluation


@dataclass
class Theta(TensorRecord):
    """What the layer learns, or a change of it.

    Attributes:
        weight: [B, C, C], W.
        bias: [B, C, 1], b.
        scale: [B, C, 1], gamma.
        shift: [B, C, 1], beta.
    """

    weight: Tensor
    bias: Tensor
    scale: Tensor
    shift: Tensor

    def plus(self, other: Theta, factor: float = 1.0) -> Theta:
        """Sum with `factor` times another."""
        return Theta(
            self.weight + factor * other.weight,
            self.bias + factor * other.bias,
            self.scale + factor * other.scale,
            self.shift + factor * other.shift,
        )


@dataclass
class SceneMemory(Memory):
    """How far the layer has moved from its initial values since the sequence started.

    Attributes:
        weight: [B, C, C].
        bias: [B, C, 1].
        scale, shift: [B, C, 1] of the normalisation; zero where it does not remember.
    """

    weight: Tensor
    bias: Tensor
    scale: Tensor
    shift: Tensor


def normalised(features: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """N(W x + b), over the channel axis.

    Args:
        features: [B, C_in, K].
        weight: [B, C, C_in].
        bias: [B, C, 1].

    Returns:
        [B, C, K], and the inverse standard deviations [B, 1, K] (biased variance, epsilon 1e-6).
    """
    # Taking the mean out of W and b centres the result without a pass over the cells.
    centred = (weight - weight.mean(dim=1, keepdim=True)) @ features + (bias - bias.mean(dim=1, keepdim=True))
    inverse = torch.rsqrt(centred.square().mean(dim=1, keepdim=True) + _EPSILON)
    return centred * inverse, inverse


def inner_gradient_sums(features: Tensor, theta: Theta, key: Tensor, value: Tensor) -> Theta:
    """Sums over cells of the gradient of |f(k) - (v - k)|^2 / 2 with respect to theta, by hand.

    With r = f(k) - (v - k), n = N(W k + b) and s the inverse standard deviation:

        dbeta = r;  dgamma = r n;  g = r gamma
        db = s (g - mean_C(g) - n mean_C(g n));  dW = db k^T

    Args:
        features: [B, C, K].
        theta: values of the layer.
        key, value: [C, C] projections K and V.

    Returns:
        sums, shaped as `theta`.
    """
    hat, inverse = normalised(features, theta.weight @ key, theta.bias)
    rest = hat * theta.scale + theta.shift - (value - key) @ features
    inward = rest * theta.scale
    inward = inward - inward.mean(dim=1, keepdim=True) - hat * (inward * hat).mean(dim=1, keepdim=True)
    inward = inward * inverse
    return Theta(
        inward @ features.transpose(1, 2) @ key.T,
        inward.sum(dim=2, keepdim=True),
        (rest * hat).sum(dim=2, keepdim=True),
        rest.sum(dim=2, keepdim=True),
    )


@MODELS.register_module()
class SceneAdapter(nn.Module):
    """Adds to every cell what the layer, after this frame's step, makes of its query.

        theta' = theta - grad of mean over (C, K) of (f(k) - (v - k))^2
        out = f'(q) + q

    The step is differentiable with respect to the features and all parameters of this module, to second order:
    its gradient is written out (:func:`inner_gradient_sums`). What was learned in earlier frames is a constant.

    Args:
        channels: channels of the volume.
        remember_norm: remember what gamma and beta learned, too. Published models use their steps in the frame
            that makes them and then forget them (spec/99 A9).
    """

    def __init__(self, channels: int, remember_norm: bool = True) -> None:
        super().__init__()
        self.remember_norm = remember_norm
        self.query = nn.Linear(channels, channels, bias=False)
        self.key = nn.Linear(channels, channels, bias=False)
        self.value = nn.Linear(channels, channels, bias=False)
        self.weight = nn.Parameter(0.02 * torch.randn(1, channels, channels))
        self.bias = nn.Parameter(torch.zeros(1, channels, 1))
        self.scale = nn.Parameter(torch.ones(1, channels, 1))
        self.shift = nn.Parameter(torch.zeros(1, channels, 1))

    def forward(self, volume: Tensor, memory: SceneMemory | None) -> tuple[Tensor, SceneMemory]:
        """Learn from a volume and adapt it.

        Args:
            volume: [B, C, Z, Y, X].
            memory: what was learned before; lanes of age 0 start from the initial values. The layer belongs to
                the whole scene: it does not move with the ego vehicle.

        Returns:
            [B, C, Z, Y, X], and what has been learned. Computed in float32 or wider, also under autocast.
        """
        with torch.autocast(volume.device.type, enabled=False):
            features = volume.to(torch.promote_types(volume.dtype, torch.float32)).flatten(2)
            learned, age = self._recall(features, memory)
            initial = Theta(self.weight, self.bias, self.scale, self.shift)
            theta = initial.plus(learned)
            factor = -2 / (features.shape[1] * features.shape[2])
            step = self._sums(features, theta)
            out = self._read(features, theta.plus(step, factor))
        learned = learned.plus(step.detach(), factor)
        forget = 1.0 if self.remember_norm else 0.0
        stored = SceneMemory(age + 1, learned.weight, learned.bias, forget * learned.scale, forget * learned.shift)
        return out.unflatten(2, volume.shape[2:]).to(volume.dtype), stored

    def _recall(self, features: Tensor, memory: SceneMemory | None) -> tuple[Theta, Tensor]:
        """What was learned before this frame, and the ages [B] of the lanes."""
        if memory is None:
            lanes, channels = features.shape[:2]
            vector = features.new_zeros(lanes, channels, 1)
            age = torch.zeros(lanes, dtype=torch.int64, device=features.device)
            return Theta(features.new_zeros(lanes, channels, channels), vector, vector, vector), age
        old = (memory.age > 0).view(-1, 1, 1)
        parts = (memory.weight, memory.bias, memory.scale, memory.shift)
        return Theta(*(torch.where(old, part, 0.0).to(features.dtype) for part in parts)), memory.age

    def _sums(self, features: Tensor, theta: Theta) -> Theta:
        total = None
        for cells in self._parts(features):
            part = inner_gradient_sums(cells, theta, self.key.weight, self.value.weight)
            total = part if total is None else total.plus(part)
        return total

    def _read(self, features: Tensor, theta: Theta) -> Tensor:
        """f(q) + q of all cells."""
        outputs = []
        weight = theta.weight @ self.query.weight
        for cells in self._parts(features):
            hat, _ = normalised(cells, weight, theta.bias)
            outputs.append(hat * theta.scale + theta.shift + self.query.weight @ cells)
        return outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=2)

    def _parts(self, features: Tensor) -> Iterator[Tensor]:
        """All cells at once in training; in evaluation a part at a time, so that few copies exist."""
        yield from (features,) if torch.is_grad_enabled() else features.split(_CELLS, dim=2)
