"""The ray caster against closed forms, and its walk through the grid against testing every voxel."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmdet3d_plugin.structures import VoxelGrid
from mmdet3d_plugin.visualization.raycast import Boxes, Camera, _first_voxel, linear_from_srgb, render

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)
PALETTE = np.array([RED, GREEN, BLUE], np.uint8)
GRID = VoxelGrid((-4.0, -4.0, 0.0), (4.0, 4.0, 4.0), (8, 8, 4))  # voxels of 1 m
NO_BOXES = Boxes(np.zeros((0, 2, 3)), np.zeros((0, 3)))


def cells(*taken: tuple[int, int, int, int]) -> np.ndarray:
    """A volume with palette entry `colour` at (x, y, z)."""
    volume = np.zeros(GRID.zyx, np.uint8)
    for x, y, z, colour in taken:
        volume[z, y, x] = colour + 1
    return volume


def picture(volume: np.ndarray, eye: tuple, target: tuple, size=(64, 64), fov=0.8, boxes=NO_BOXES) -> np.ndarray:
    return render(volume, PALETTE, GRID, Camera(eye, target, fov), size, boxes).astype(int)


def colours(image: np.ndarray) -> np.ndarray:
    """[H, W] 0, 1, 2 where the image is red, green, blue; -1 where it is background."""
    lively = image.max(axis=-1) - image.min(axis=-1) > 60
    return np.where(lively, image.argmax(axis=-1), -1)


def test_an_empty_volume_shows_only_background():
    image = picture(cells(), (-10.0, 0.5, 2.0), (0.0, 0.5, 2.0))
    assert (image == image[0, 0]).all()
    assert image.max() < 40


def test_a_cube_covers_as_many_pixels_as_the_pinhole_projects():
    # The near face of voxel (4, 4, 1), 1 m wide, is 10 m before the eye and looked at straight: nothing else of the
    # cube shows, and it is as wide as 1 m of the 2 * 10 * tan(fov / 2) m that the picture spans there.
    size, fov = 200, 0.5
    shown = colours(picture(cells((4, 4, 1, 0)), (-10.0, 0.5, 1.5), (0.0, 0.5, 1.5), (size, size), fov))
    side = size / (2 * 10 * np.tan(fov / 2))
    assert (shown == 0).sum() == pytest.approx(side**2, rel=0.05)
    rows, columns = np.nonzero(shown == 0)
    assert rows.mean() == pytest.approx(size / 2 - 0.5, abs=0.6)
    assert columns.mean() == pytest.approx(size / 2 - 0.5, abs=0.6)


def test_left_and_up_of_the_world_are_left_and_up_in_the_picture():
    # Seen along +x, +y (left) is on the left and +z on top.
    volume = cells((4, 6, 1, 0), (4, 1, 1, 1), (4, 4, 3, 2))
    shown = colours(picture(volume, (-10.0, 0.0, 1.5), (0.0, 0.0, 1.5)))
    where = {k: np.array(np.nonzero(shown == k)).mean(axis=1) for k in range(3)}
    assert where[0][1] < 32 < where[1][1]
    assert where[2][0] < where[0][0]


def test_the_nearer_voxel_hides_the_farther_one():
    volume = cells((2, 4, 1, 0), (6, 4, 1, 1))  # red at x = -2, green at x = 2, one behind the other
    front = colours(picture(volume, (-10.0, 0.5, 1.5), (0.0, 0.5, 1.5)))
    back = colours(picture(volume, (10.0, 0.5, 1.5), (0.0, 0.5, 1.5)))
    assert front[32, 32] == 0
    assert back[32, 32] == 1
    assert not (front == 1).any()
    assert not (back == 0).any()


def test_a_box_hides_what_is_behind_it_and_is_hidden_by_what_is_before_it():
    box = Boxes(np.array([[(0.2, 0.2, 1.2), (0.8, 0.8, 1.8)]]), linear_from_srgb([BLUE]))
    behind = colours(picture(cells((6, 4, 1, 0)), (-10.0, 0.5, 1.5), (0.0, 0.5, 1.5), boxes=box))
    before = colours(picture(cells((2, 4, 1, 0)), (-10.0, 0.5, 1.5), (0.0, 0.5, 1.5), boxes=box))
    assert behind[32, 32] == 2
    assert before[32, 32] == 0


def floor(*taken: tuple[int, int, int, int]) -> np.ndarray:
    volume = cells(*taken)
    volume[0] = 2
    return volume


def test_a_block_throws_a_shadow_away_from_the_sun():
    # The sun stands at (-0.52, 0.36, 1): the shadow of a block 3 m high falls towards +x and -y.
    image = picture(
        floor((3, 4, 1, 0), (3, 4, 2, 0), (3, 4, 3, 0)), (0.01, 0.0, 30.0), (0.0, 0.0, 0.0), (160, 160), 0.3
    )
    plain = picture(floor(), (0.01, 0.0, 30.0), (0.0, 0.0, 0.0), (160, 160), 0.3)
    darker = (plain - image)[..., 1] > 25
    darker &= colours(image) == 1
    # Where +x and -y are in the picture, a mark in that corner of the grid tells.
    marks = colours(picture(cells((7, 0, 0, 0)), (0.01, 0.0, 30.0), (0.0, 0.0, 0.0), (160, 160), 0.3))
    towards = np.array(np.nonzero(marks == 0)).mean(axis=1) - 79.5
    block = np.array(np.nonzero(colours(image) == 0)).mean(axis=1)
    shadow = np.array(np.nonzero(darker)).mean(axis=1)
    assert darker.sum() > 50
    assert np.dot(shadow - block, towards) > 0


def test_a_corner_between_floor_and_wall_is_darker_than_the_open_floor():
    wall = [(7, y, z, 0) for y in range(8) for z in (1, 2)]
    image = picture(floor(*wall), (0.01, 0.0, 30.0), (0.0, 0.0, 0.0), (160, 160), 0.3)[..., 1]
    marks = colours(picture(cells((6, 4, 0, 0)), (0.01, 0.0, 30.0), (0.0, 0.0, 0.0), (160, 160), 0.3)) == 0
    beside = image[marks]  # floor next to the wall
    assert beside.min() < 0.9 * np.median(image[80:100, 70:90])


def test_the_whole_picture_is_drawn_when_threads_share_it():
    volume = np.ones(GRID.zyx, np.uint8)
    image = picture(volume, (0.01, 0.0, 12.0), (0.0, 0.0, 0.0), (33, 17), 0.3)
    assert image.shape == (17, 33, 3)
    assert (colours(image) == 0).all()


grids = st.tuples(*[st.integers(1, 5)] * 3)
numbers = st.floats(-1, 1, allow_nan=False, width=32)


@settings(max_examples=150, deadline=None)
@given(grids, st.integers(0, 2**31), st.tuples(*[numbers] * 3), st.tuples(*[numbers] * 3))
def test_a_ray_meets_the_voxel_that_a_test_of_every_voxel_finds(shape, seed, start, through):
    rng = np.random.default_rng(seed)
    volume = (rng.random(shape[::-1]) < 0.3).astype(np.uint8)
    size, lower = np.array((0.5, 1.0, 2.0)), np.array((0.1, -0.2, 0.3))
    origin = np.add(start, rng.uniform(0, 1e-3, 3)) + np.array((0.0, 0.0, 12.0))
    direction = lower + (np.array(through) + 1) / 2 * shape * size - origin
    direction /= np.linalg.norm(direction)
    frame = np.array((lower, size, shape))
    value, _, distance = _first_voxel(np.pad(volume, 1), frame, tuple(origin), tuple(direction))
    touched, entered = np.inf, np.inf  # a ray along an edge may go either way
    for z, y, x in np.argwhere(volume):
        corner = lower + np.array((x, y, z)) * size
        with np.errstate(divide="ignore"):
            t = np.sort(np.stack(((corner - origin) / direction, (corner + size - origin) / direction)), axis=0)
        enter, leave = t[0].max(), t[1].min()
        touched = min(touched, enter) if leave - enter > -1e-6 else touched
        entered = min(entered, enter) if leave - enter > 1e-6 else entered
    assert value or entered == np.inf
    if value:
        assert touched - 1e-5 <= distance <= entered + 1e-5
