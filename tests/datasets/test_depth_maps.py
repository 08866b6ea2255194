from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmdet3d_plugin.datasets import DepthMaps, ImagePipeline
from mmdet3d_plugin.errors import ConfigError
from mmdet3d_plugin.geometry.transforms import apply

K = np.array([[10.0, 0, 4.0], [0, 10.0, 3.0], [0, 0, 1]])
SIZE = (6, 8)


def ray(u: float, v: float, depth: float) -> list[float]:
    return [(u - 4.0) / 10 * depth, (v - 3.0) / 10 * depth, depth]


def test_the_nearest_return_of_a_pixel_counts_and_brings_its_class():
    points = np.array([ray(2, 1, 20), ray(2.3, 0.8, 12), ray(2, 1, 12.001), ray(5, 4, 3)])
    depth, classes = DepthMaps((1.0, 45.0))(points, np.array([1, 2, 3, 4], np.uint8), K, np.eye(3), SIZE)
    expected, labels = np.zeros(SIZE, np.float32), np.full(SIZE, 255, np.uint8)
    expected[1, 2], expected[4, 5] = 12, 3
    labels[1, 2], labels[4, 5] = 2, 4
    np.testing.assert_array_equal(depth, expected)
    np.testing.assert_array_equal(classes, labels)


def test_range_is_half_open_and_points_behind_are_dropped():
    points = np.array([ray(1, 1, 1.0), ray(2, 1, 45.0), ray(3, 1, 0.999), ray(4, 1, -5.0), ray(5, 1, 44.99)])
    depth, classes = DepthMaps((1.0, 45.0))(points, None, K, np.eye(3), SIZE)
    assert classes is None
    assert np.argwhere(depth).tolist() == [[1, 1], [1, 5]]


def test_halves_round_to_even_and_borders_are_exact():
    points = np.array(
        [ray(0.5, 0, 5), ray(1.5, 0, 6), ray(-0.5, 2, 7), ray(7.5, 2, 8), ray(7.49, 2, 9), ray(-0.51, 4, 5)]
    )
    depth, _ = DepthMaps((1.0, 45.0))(points, None, K, np.eye(3), SIZE)
    expected = np.zeros(SIZE, np.float32)
    expected[0, 0], expected[0, 2], expected[2, 0], expected[2, 7] = 5, 6, 7, 9
    np.testing.assert_array_equal(depth, expected)


def test_empty_sweeps_give_empty_maps():
    depth, classes = DepthMaps((1.0, 45.0))(np.empty((0, 3)), np.empty(0, np.uint8), K, np.eye(3), SIZE)
    assert not depth.any()
    assert (classes == 255).all()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31))
def test_equals_a_plain_z_buffer_under_any_augmentation(seed):
    """Two thousand points on few pixels, one by one in float64, against the sorted version."""
    rng = np.random.default_rng(seed)
    pipeline = ImagePipeline((32, 88), resize=(-0.03, 0.05), flip=0.5, rotation=0.1)
    crop = pipeline.matrix(pipeline.parameters((1600, 900), rng))
    intrinsics = np.array([[1266.0, 0, 816], [0, 1266.0, 491], [0, 0, 1]])
    points = rng.uniform((-30, -5, -10), (30, 5, 60), (2000, 3))
    ids = rng.integers(0, 17, 2000, dtype=np.uint8)
    expected, labels = np.zeros((32, 88), np.float32), np.full((32, 88), 255, np.uint8)
    for point, label in zip(points, ids):
        z = np.float32(point[2])
        if not 1 <= z < 45:
            continue
        pixel = crop @ np.append((intrinsics @ point)[:2] / point[2], 1)
        u, v = int(np.rint(pixel[0])), int(np.rint(pixel[1]))
        if 0 <= u < 88 and 0 <= v < 32 and (expected[v, u] == 0 or z < expected[v, u]):
            expected[v, u], labels[v, u] = z, label
    depth, classes = DepthMaps((1.0, 45.0))(points, ids, intrinsics, crop, (32, 88))
    same = depth == expected  # a point within rounding of a pixel border may fall on either side
    assert (~same).sum() <= 2
    np.testing.assert_array_equal(classes[same], labels[same])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31))
def test_dropping_points_out_of_view_changes_no_bit(seed):
    """A whole sweep around the camera, many points next to the border of the image and of the range."""
    rng = np.random.default_rng(seed)
    pipeline = ImagePipeline((32, 88), resize=(-0.03, 0.05), flip=0.5, rotation=0.1)
    crop = pipeline.matrix(pipeline.parameters((1600, 900), rng))
    intrinsics = np.array([[1266.0, 0, 816], [0, 1266.0, 491], [0, 0, 1]])
    axes, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = axes, rng.uniform(-3, 3, 3)
    z = rng.choice([1.0, 45.0, 20.0], 3000) + rng.normal(0, 1e-3, 3000)
    pixel = np.stack((rng.choice([0, 30, 88], 3000), rng.choice([0, 9, 32], 3000)), 1) + rng.normal(0, 1, (3000, 2))
    border = np.linalg.solve(crop @ intrinsics, (np.column_stack((pixel, np.ones(3000))) * z[:, None]).T).T
    around = rng.uniform(-60, 60, (3000, 3))
    points = ((np.concatenate((border, around)) - pose[:3, 3]) @ axes).astype(np.float32)
    classes = rng.integers(0, 17, len(points), dtype=np.uint8)
    maps = DepthMaps((1.0, 45.0))
    found = maps.project(np.column_stack((points, points)), classes, pose, intrinsics, crop, (32, 88))
    expected = maps(apply(pose, points.astype(np.float64)), classes, intrinsics, crop, (32, 88))
    assert (expected[0] > 0).sum() > 20
    for one, other in zip(found, expected):
        np.testing.assert_array_equal(one, other)


def published_depth(pixel: np.ndarray, z: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """[H, W]: the first point of every pixel after sorting one float32 key (spec/data/pipelines section 4)."""
    rank = pixel[:, 1] * np.float32(size[1]) + pixel[:, 0]
    order = np.argsort((rank + z / np.float32(100)).astype(np.float32), kind="stable")
    first = np.r_[True, np.diff(rank[order]) != 0]
    depth = np.zeros(size, np.float32)
    line, column = pixel[order[first]].astype(int)[:, ::-1].T
    depth[line, column] = z[order[first]]
    return depth


@pytest.mark.parametrize(("size", "resolution"), [((256, 704), 1.6), ((640, 960), 6.3), ((896, 1600), 12.5)])
def test_the_published_key_differs_below_its_resolution_only(size, resolution):
    """spec/data/defects F6. Two returns to a pixel, many more than a sweep has: ours is never the farther one."""
    rng = np.random.default_rng(0)
    (height, width), count = size, 2 * size[0] * size[1]
    pixel = np.stack((rng.integers(0, width, count), rng.integers(0, height, count)), 1).astype(np.float32)
    z = rng.uniform(1, 45, count).astype(np.float32)
    points = np.column_stack((pixel, np.ones(count))).astype(np.float64) * z[:, None]
    ours, _ = DepthMaps((1.0, 45.0))(points, None, np.eye(3), np.eye(3), size)
    published = published_depth(pixel, z, size)
    np.testing.assert_array_equal(ours > 0, published > 0)
    late = published - ours
    assert late.min() >= 0
    assert 0.001 < (late > 0).mean() < 0.25
    assert late.max() < 1.05 * resolution


def test_empty_range_is_refused():
    with pytest.raises(ConfigError, match="depth_range"):
        DepthMaps((5.0, 1.0))
