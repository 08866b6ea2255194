"""Normalisation of images."""

from __future__ import annotations

import pytest
import torch

from mmdet3d_plugin.errors import DataError
from mmdet3d_plugin.models import ImagePreprocessor
from mmdet3d_plugin.parity import recipe

MEAN, STD = (100.0, 50.0, 25.0), (1.0, 2.0, 5.0)


@pytest.fixture
def frame():
    frame = recipe.frame(0, (32, 32), 0)
    frame.images = torch.tensor([110, 60, 35], dtype=torch.uint8).view(1, 1, 3, 1, 1).expand(1, 6, 3, 2, 2)
    frame.adjacent.images = frame.images
    return frame


@pytest.mark.parametrize(
    ("order", "expected"),
    [("rgb", [10.0, 5.0, 2.0]), ("bgr", [35.0 - 100.0, 5.0, (110.0 - 25.0) / 5.0])],
)
def test_published_order_swaps_the_channels_but_not_the_statistics(frame, order, expected):
    result = ImagePreprocessor(MEAN, STD, order)(frame)
    assert result.images.dtype == torch.float32
    assert result.images[0, 3, :, 1, 0].tolist() == expected
    assert torch.equal(result.adjacent.images, result.images)
    assert frame.images.dtype == torch.uint8  # the frame of the caller is left alone


def test_normalised_images_are_refused(frame):
    frame.images = frame.images.float()
    with pytest.raises(DataError, match="uint8"):
        ImagePreprocessor()(frame)
    assert not ImagePreprocessor().state_dict()
