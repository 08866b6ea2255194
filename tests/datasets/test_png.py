"""PNG images are read as JPEGs are: whole, reduced, and refused where they are broken."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from mmdet3d_plugin.datasets.files import image_size, read_jpeg, read_jpeg_pillow
from mmdet3d_plugin.errors import DataError

SIZE = (21, 13)  # no multiple of any reduction


@pytest.fixture
def png(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (SIZE[1], SIZE[0], 3), np.uint8)
    cv2.imwrite(str(tmp_path / "image.png"), image[..., ::-1])
    return tmp_path / "image.png", image


def test_whole_image_in_rgb(png):
    path, image = png
    np.testing.assert_array_equal(read_jpeg(path, SIZE), image)
    np.testing.assert_array_equal(np.asarray(read_jpeg_pillow(path, SIZE)), image)
    assert image_size(path) == SIZE


@pytest.mark.parametrize("reduction", [2, 4, 8])
def test_a_reduced_pixel_is_the_mean_of_those_it_covers(png, reduction):
    path, image = png
    reduced = read_jpeg(path, SIZE, reduction)
    assert reduced.shape[:2] == (-(-SIZE[1] // reduction), -(-SIZE[0] // reduction))
    expected = image[:reduction, reduction : 2 * reduction].reshape(-1, 3).mean(axis=0)
    np.testing.assert_allclose(reduced[0, 1], expected, atol=0.51)


def test_broken_files(png, tmp_path):
    path, _ = png
    with pytest.raises(DataError, match=r"(?s)another size.*21 x 13.*21 x 14"):
        read_jpeg(path, (21, 14))
    (tmp_path / "image.tiff").write_bytes(path.read_bytes())
    with pytest.raises(DataError, match="unknown format"):
        read_jpeg(tmp_path / "image.tiff", SIZE)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match="without the end marker of a PNG"):
        read_jpeg(path, SIZE)
    with pytest.raises(DataError, match="no such file"):
        image_size(tmp_path / "missing.png")
