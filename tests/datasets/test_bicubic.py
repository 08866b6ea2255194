"""The published pixels without the published cost: every bit as Pillow computes it."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mmdet3d_plugin.datasets import ImagePipeline, files
from mmdet3d_plugin.datasets.transforms import bicubic
from mmdet3d_plugin.datasets.transforms.bicubic import resize_bicubic

SOURCE = (1600, 900)


def noise(size: tuple[int, int], seed: int = 0) -> np.ndarray:
    """[h, w, 3] of independent bytes with runs of 0 and 255, where overshoots are cut."""
    image = np.random.default_rng(seed).integers(-150, 406, (size[1], size[0], 3))
    return image.clip(0, 255).astype(np.uint8)


def pillow(image: np.ndarray, size: tuple[int, int], box: tuple[int, int, int, int]) -> np.ndarray:
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC).crop(box))


sides = st.integers(1, 70)


@settings(max_examples=200, deadline=None)
@given(sides, sides, st.floats(0.2, 1.7), st.data())
def test_any_size_and_any_crop_have_the_bits_of_pillow(width, height, scale, data):
    """Larger, smaller, tall, wide, single pixels, crops that leave the image or miss it."""
    new_width, new_height = max(1, int(width * scale)), max(1, int(height * scale))
    left, top = (data.draw(st.integers(-80, 80)) for _ in range(2))
    box = (left, top, left + data.draw(sides), top + data.draw(sides))
    image = noise((width, height))
    np.testing.assert_array_equal(
        resize_bicubic(image, (new_width, new_height), box), pillow(image, (new_width, new_height), box)
    )


@pytest.mark.parametrize("width", [704, *range(608, 881, 17)])
def test_published_sizes_have_the_bits_of_pillow(width):
    """The size of evaluation and some that training draws, whole images, so that every weight is met."""
    size = (width, width * 900 // 1600)
    image = noise(SOURCE, width)
    box = (0, 0, *size)
    assert np.array_equal(resize_bicubic(image, size, box), pillow(image, size, box))


def test_weights_can_fail_the_comparison():
    """One source pixel less is another scale: the comparison sees it."""
    image = noise(SOURCE)
    assert not np.array_equal(
        resize_bicubic(image[:, :-1], (704, 396), (0, 0, 704, 396)), pillow(image, (704, 396), (0, 0, 704, 396))
    )


@pytest.mark.parametrize("simplejpeg", ["installed", "missing"])
@pytest.mark.parametrize("seed", [None, 0, 1, 2, 3])
def test_whole_pipeline_has_the_bits_of_the_published_steps(tmp_path, monkeypatch, simplejpeg, seed):
    """Decode, resize, crop, flip, rotate one after the other with Pillow, in evaluation (None) and training."""
    if simplejpeg == "missing":
        monkeypatch.setattr(files, "simplejpeg", None)
    file = tmp_path / "picture.jpg"
    Image.fromarray(cv2.GaussianBlur(noise(SOURCE), (0, 0), 2)).save(file, quality=90)
    pipeline = ImagePipeline((256, 704), (-0.06, 0.11), flip=0.5, rotation=0.09425, resampling="pil")
    parameters = pipeline.parameters(SOURCE, None if seed is None else np.random.default_rng(seed))
    left, top = parameters.crop
    image = Image.open(file).resize(parameters.resized, Image.Resampling.BICUBIC)
    image = image.crop((left, top, left + 704, top + 256))
    if parameters.flip:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    expected = np.asarray(image.rotate(np.degrees(parameters.angle)))
    assert np.array_equal(pipeline.load(file, parameters), expected)


@pytest.mark.parametrize("size", [(160, 90), (161, 91), (17, 8)])
@pytest.mark.parametrize("quality", [60, 92, 100])
@pytest.mark.parametrize("layout", ["4:4:4", "4:2:2", "4:2:0", "progressive", "grey"])
def test_the_fast_decoder_has_the_bits_of_pillow(tmp_path, size, quality, layout):
    pytest.importorskip("simplejpeg")
    image = Image.fromarray(cv2.GaussianBlur(noise(size), (0, 0), 1))
    buffer = io.BytesIO()
    if layout == "grey":
        image.convert("L").save(buffer, "JPEG", quality=quality)
    elif layout == "progressive":
        image.save(buffer, "JPEG", quality=quality, progressive=True)
    else:
        image.save(buffer, "JPEG", quality=quality, subsampling=layout)
    file = tmp_path / "picture.jpg"
    file.write_bytes(buffer.getvalue())
    expected = np.asarray(Image.open(file).convert("RGB"))
    assert np.array_equal(files.read_jpeg_pillow(file, size), expected)


@pytest.mark.parametrize("read", [files.read_jpeg, files.read_jpeg_pillow])
def test_an_image_of_twice_the_size_is_not_scaled_silently(tmp_path, read):
    file = tmp_path / "large.jpg"
    Image.fromarray(noise((320, 180))).save(file)
    with pytest.raises(files.DataError, match="another size"):
        read(file, (160, 90))


def test_without_numba_pillow_does_it(monkeypatch):
    image, size, box = noise((160, 90)), (70, 39), (-3, 4, 61, 36)
    expected = resize_bicubic(image, size, box)
    monkeypatch.setattr(bicubic, "compiled", None)
    monkeypatch.setattr(bicubic, "_add_lines", None)
    assert np.array_equal(resize_bicubic(image, size, box), expected)
