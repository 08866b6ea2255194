"""The rules by which past images are chosen."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmdet3d_plugin.datasets import ImageHistory
from mmdet3d_plugin.errors import ConfigError


def whole(length: int) -> np.ndarray:
    return np.ones(length, dtype=bool)


@given(st.integers(1, 120), st.integers(0, 1000))
def test_training_takes_equal_distances_of_four_to_eight(length: int, seed: int):
    chosen = ImageHistory(7).choose(whole(length), np.random.default_rng(seed))
    assert chosen.shape == (7,)
    if length <= 7:
        np.testing.assert_array_equal(chosen, np.minimum(np.arange(7), length - 1))
        return
    most, interval = length // 7, chosen[0] + 1
    np.testing.assert_array_equal(chosen, interval * np.arange(1, 8) - 1)
    assert min(4, most) <= interval <= min(8, most)
    assert chosen[-1] < length


def test_every_distance_is_drawn():
    rng = np.random.default_rng(0)
    assert {int(ImageHistory(7).choose(whole(56), rng)[0]) + 1 for _ in range(200)} == {4, 5, 6, 7, 8}
    assert {int(ImageHistory(7).choose(whole(35), rng)[0]) + 1 for _ in range(200)} == {4, 5}
    assert {int(ImageHistory(7).choose(whole(20), rng)[0]) + 1 for _ in range(20)} == {2}


@given(st.integers(56, 500), st.integers(0, 100))
def test_nothing_beyond_the_reach_is_ever_chosen(length: int, seed: int):
    history = ImageHistory(7)
    assert history.reach == 56
    a, b = (history.choose(whole(n), np.random.default_rng(seed)) for n in (length, history.reach))
    np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        (42, [5, 11, 17, 23, 29, 35, 41]),
        (20, [5, 11, 17, 19, 19, 19, 19]),
        (6, [5] * 7),
        (1, [0] * 7),
    ],
)
def test_evaluation_takes_every_sixth_and_stays_at_the_end(length, expected):
    assert ImageHistory(7).choose(whole(length)).tolist() == expected


@pytest.mark.parametrize(
    ("missing", "expected"),
    [
        ([5], [4, 11, 17]),
        ([11, 10, 9], [5, 8, 17]),
        (range(12), [12, 12, 17]),  # nothing newer is complete
        (range(1, 18), [0, 0, 0]),
    ],
)
def test_an_incomplete_image_gives_way_to_the_next_newer_one(missing, expected):
    complete = whole(18)
    complete[list(missing)] = False
    assert ImageHistory(3).choose(complete).tolist() == expected


@given(st.lists(st.booleans(), min_size=1, max_size=80).filter(any), st.integers(0, 100))
def test_only_complete_images_are_chosen(complete: list[bool], seed: int):
    for rng in (None, np.random.default_rng(seed)):
        assert np.array(complete)[ImageHistory(7).choose(np.array(complete), rng)].all()


@pytest.mark.parametrize("arguments", [{"frames": 0}, {"empty": "ignore"}])
def test_wrong_arguments_are_refused(arguments):
    with pytest.raises(ConfigError, match="ImageHistory cannot use"):
        ImageHistory(**arguments)
