"""Rigid transforms: known rotations, and the laws that they obey."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mmdet3d_plugin.geometry.transforms import (
    apply,
    inverse,
    mirror,
    pose_matrix,
    quaternion_from_rotation,
    rotation_from_quaternion,
    rotation_z,
)

HALF = math.sqrt(0.5)
coordinate = st.floats(-1e4, 1e4, allow_subnormal=False)
vectors = st.tuples(coordinate, coordinate, coordinate)
component = st.floats(-1, 1, allow_subnormal=False)
quaternions = st.tuples(component, component, component, component).filter(lambda q: np.linalg.norm(q) > 1e-2)


@pytest.mark.parametrize(
    ("quaternion", "image_of_x", "image_of_y"),
    [
        ((1, 0, 0, 0), (1, 0, 0), (0, 1, 0)),
        ((HALF, 0, 0, HALF), (0, 1, 0), (-1, 0, 0)),  # a quarter turn about z
        ((HALF, HALF, 0, 0), (1, 0, 0), (0, 0, 1)),  # about x
        ((HALF, 0, HALF, 0), (0, 0, -1), (0, 1, 0)),  # about y
        ((0, 0, 0, 2), (-1, 0, 0), (0, -1, 0)),  # half a turn about z, not normalised
    ],
)
def test_quaternions_are_scalar_first(quaternion, image_of_x, image_of_y):
    rotation = rotation_from_quaternion(quaternion)
    np.testing.assert_allclose(rotation[:, 0], image_of_x, atol=1e-15)
    np.testing.assert_allclose(rotation[:, 1], image_of_y, atol=1e-15)


@settings(deadline=None)
@given(quaternion=quaternions)
def test_rotations_are_orthonormal_and_proper(quaternion):
    rotation = rotation_from_quaternion(quaternion)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(rotation) == pytest.approx(1)


@settings(deadline=None)
@given(quaternion=quaternions)
def test_quaternion_round_trip(quaternion):
    rotation = rotation_from_quaternion(quaternion)
    back = quaternion_from_rotation(rotation)
    assert back[0] >= 0
    np.testing.assert_allclose(rotation_from_quaternion(back), rotation, atol=1e-12)


@settings(max_examples=50, deadline=None)
@given(quaternion=quaternions, translation=vectors, point=vectors)
def test_inverse_undoes_a_pose(quaternion, translation, point):
    pose = pose_matrix(quaternion, translation)
    np.testing.assert_allclose(inverse(pose) @ pose, np.eye(4), atol=1e-8)
    np.testing.assert_allclose(apply(inverse(pose), apply(pose, [point])), [point], atol=1e-8)


@settings(deadline=None)
@given(first=st.floats(-7, 7), second=st.floats(-7, 7))
def test_yaws_add_up(first, second):
    np.testing.assert_allclose(rotation_z(first) @ rotation_z(second), rotation_z(first + second), atol=1e-12)


def test_yaw_is_counter_clockwise():
    np.testing.assert_allclose(apply(rotation_z(math.pi / 2), [[1, 0, 5]]), [[0, 1, 5]], atol=1e-15)


@settings(deadline=None)
@given(yaw=st.floats(-3, 3))
def test_yaw_is_the_rotation_of_its_quaternion(yaw):
    assume(abs(yaw) < math.pi)
    quaternion = (math.cos(yaw / 2), 0, 0, math.sin(yaw / 2))
    np.testing.assert_allclose(pose_matrix(quaternion, (0, 0, 0)), rotation_z(yaw), atol=1e-12)


@pytest.mark.parametrize("x", [False, True])
@pytest.mark.parametrize("y", [False, True])
def test_mirror(x, y):
    expected = [[-1.0 if x else 1.0, -2.0 if y else 2.0, 3.0]]
    np.testing.assert_array_equal(apply(mirror(x, y), [[1, 2, 3]]), expected)
    np.testing.assert_array_equal(mirror(x, y) @ mirror(x, y), np.eye(4))


def test_global_poses_compose_without_loss():
    # Two poses 40 km from the origin of the map, one millimetre apart.
    now = pose_matrix((HALF, 0, 0, HALF), (4e4, 1e4, 0))
    before = pose_matrix((HALF, 0, 0, HALF), (4e4, 1e4 - 1e-3, 0))
    np.testing.assert_allclose((inverse(before) @ now)[:3, 3], (1e-3, 0, 0), atol=1e-10)


def test_batches():
    quaternion = np.random.default_rng(0).normal(size=(2, 3, 4))
    poses = pose_matrix(quaternion, np.ones((2, 3, 3)))
    assert poses.shape == (2, 3, 4, 4)
    points = np.random.default_rng(1).normal(size=(2, 3, 5, 3))
    moved = apply(poses, points)
    np.testing.assert_allclose(moved[1, 2], apply(pose_matrix(quaternion[1, 2], (1, 1, 1)), points[1, 2]))
    np.testing.assert_allclose(inverse(poses)[1, 2], np.linalg.inv(poses[1, 2]), atol=1e-12)
    np.testing.assert_allclose(
        rotation_from_quaternion(quaternion_from_rotation(poses[..., :3, :3])), poses[..., :3, :3], atol=1e-12
    )
