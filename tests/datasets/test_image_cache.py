"""Adjacent images are decoded once, memory is bounded, and samples stay what they are."""

from __future__ import annotations

import dataclasses
import pickle

import handmade
import numpy as np
import pytest

from mmdet3d_plugin.datasets import NuScenesOccDataset
from mmdet3d_plugin.datasets.image_cache import ImageCache
from mmdet3d_plugin.datasets.randomness import SampleRequest
from mmdet3d_plugin.errors import DataError
from mmdet3d_plugin.registry import DATASETS


def image(value: int, size: int = 10) -> np.ndarray:
    return np.full(size, value, np.uint8)


def test_what_was_used_last_stays():
    cache = ImageCache(30)
    for key in (1, 2, 3, 1, 4):  # 4 needs the room of 2, which was used longest ago
        assert cache.get(key, lambda key=key: image(key))[0] == key
    assert (cache.hits, cache.misses, len(cache), cache.nbytes) == (1, 4, 3, 30)
    cache.get(1, lambda: pytest.fail("1 is kept"))
    assert cache.get(2, lambda: image(7))[0] == 7


def test_capacity_is_never_exceeded():
    rng, cache = np.random.default_rng(0), ImageCache(1000)
    for key in rng.integers(0, 50, 2000).tolist():
        cache.get(key, lambda key=key: image(key, 1 + 37 * key % 400))
        assert cache.nbytes <= 1000
        assert cache.nbytes == sum(kept.nbytes for kept in cache._images.values())
    assert cache.hits > 100


def test_images_that_do_not_fit_are_not_kept():
    cache = ImageCache(9)
    assert cache.get("a", lambda: image(1)).flags.writeable
    assert (len(cache), cache.nbytes) == (0, 0)


def test_kept_images_cannot_be_written_to():
    with pytest.raises(ValueError, match="read-only"):
        ImageCache(10).get("a", lambda: image(1))[0] = 2


def test_an_error_is_passed_on_and_not_kept():
    cache = ImageCache(10)
    with pytest.raises(ZeroDivisionError):
        cache.get("a", lambda: 1 // 0)
    assert cache.get("a", lambda: image(5))[0] == 5


def test_other_processes_start_with_an_empty_cache():
    cache = ImageCache(10)
    cache.get("a", lambda: image(1))
    copy = pickle.loads(pickle.dumps(cache))
    assert (copy.capacity, len(copy), copy.nbytes) == (10, 0, 0)


def same(a, b) -> bool:
    pairs = ((getattr(a, f.name), getattr(b, f.name)) for f in dataclasses.fields(a))
    return all(np.array_equal(x, y) if isinstance(x, np.ndarray) else x == y for x, y in pairs)


@pytest.mark.parametrize("mode", ["train", "evaluate"])
@pytest.mark.parametrize("resampling", ["warp", "pil"])
def test_samples_do_not_depend_on_what_was_loaded_before(world, mode, resampling):
    image = {**handmade.config(world)["image"], "resampling": resampling}
    if mode == "evaluate":
        image = {"type": "ImagePipeline", "size": (32, 88), "resampling": resampling}
    arguments = handmade.config(world, mode=mode, image=image)
    dataset = NuScenesOccDataset(**arguments)
    requests = [SampleRequest(int(i), d) for d, i in zip((0, 0, 0, 1, 1, 0), (0, 1, 2, 2, 3, 1))]
    for request in requests:
        assert same(dataset[request], NuScenesOccDataset(**arguments)[request])
    assert dataset.image_cache.hits > 0


@pytest.mark.parametrize("mode", ["train", "evaluate"])
def test_every_image_of_a_stream_is_decoded_once(world, mode):
    image = {"type": "ImagePipeline", "size": (32, 88), "resampling": "pil", "flip": 0.5 * (mode == "train")}
    dataset = NuScenesOccDataset(**handmade.config(world, mode=mode, image=image))
    assert dataset.image.augments is (mode == "train")
    for index in range(len(dataset)):
        dataset[index]
    assert dataset.image_cache.misses == 6 * len(dataset)
    assert dataset.image_cache.hits == 6 * len(dataset)
    kept = 90 * 160 * 3 if mode == "train" else 32 * 88 * 3  # finished ones where all samples show them alike
    assert dataset.image_cache.nbytes == 6 * len(dataset) * kept


def test_without_adjacent_images_nothing_is_kept(world):
    dataset = DATASETS.build({"type": "NuScenesOccDataset", **handmade.config(world, load_adjacent=False)})
    dataset[0]
    assert dataset.image_cache.nbytes == 0


def test_a_broken_adjacent_image_names_the_sample(broken_world):
    dataset = NuScenesOccDataset(**handmade.config(broken_world))
    (broken_world / str(dataset.index.image_file[1, 0])).write_bytes(b"no image")
    with pytest.raises(DataError, match="sample0_2"):
        dataset[2]
