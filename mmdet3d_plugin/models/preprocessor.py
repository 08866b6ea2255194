"""From images as loaded to images as the weights expect them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from ..errors import DataError
from ..registry import MODELS
from ..structures import Frame


@MODELS.register_module()
class ImagePreprocessor(nn.Module):
    """Normalises images on the device of the model, so that they travel as bytes.

    Args:
        mean, std: per channel in the order R, G, B, on the scale 0..255; by default those of ImageNet.
        channel_order: order in which the network sees the channels. With "bgr" the channels are swapped but
            the statistics stay where they are, blue being normalised as red: so were the published weights
            trained (spec/99 A5).
    """

    def __init__(
        self,
        mean: Sequence[float] = (123.675, 116.28, 103.53),
        std: Sequence[float] = (58.395, 57.12, 57.375),
        channel_order: Literal["rgb", "bgr"] = "rgb",
    ) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1), persistent=False)
        self.channel_order = channel_order

    def forward(self, frame: Frame) -> Frame:
        """The frame with its images, uint8 RGB [B, N, 3, H, W], and the adjacent ones normalised to float32.

        Raises:
            DataError: the images are not uint8.
        """
        adjacent = frame.adjacent
        if adjacent is not None:
            adjacent = dataclasses.replace(adjacent, images=self._normalise(adjacent.images))
        return dataclasses.replace(frame, images=self._normalise(frame.images), adjacent=adjacent)

    def _normalise(self, images: Tensor) -> Tensor:
        if images.dtype != torch.uint8:
            raise DataError(
                "images reach the model with the wrong type",
                found=images.dtype,
                expected="torch.uint8, RGB as loaded",
                fix="leave normalisation to the model; call `model.network` for images that are normalised",
            )
        if self.channel_order == "bgr":
            images = images.flip(-3)
        return (images.float() - self.mean) / self.std
