"""Rigid transforms of the data side: NumPy, float64, named `dst_from_src`, acting on column vectors.

Global poses have magnitudes of kilometres, where float32 resolves a tenth of a millimetre at best; they stay
float64 until two of them are composed to a relative pose. Every function takes leading batch axes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Poses = NDArray[np.float64]


def rotation_from_quaternion(quaternion: ArrayLike) -> Poses:
    """Rotation matrices of quaternions (w, x, y, z), spec/data/formats section 1.

    Rodrigues' formula for q = (w, v): R p = ((w^2 - v.v) p + 2 v (v.p) + 2 w (v x p)) / |q|^2.

    Args:
        quaternion: [..., 4], of any length but zero.

    Returns:
        [..., 3, 3].
    """
    q = np.asarray(quaternion, dtype=np.float64)
    w, v = q[..., 0, None, None], q[..., 1:]
    identity = np.eye(3)
    cross = np.cross(v[..., None, :], identity).swapaxes(-1, -2)  # columns v x e_j: maps p to v x p
    outer = v[..., :, None] * v[..., None, :]
    square = (v * v).sum(axis=-1)[..., None, None]
    return ((w * w - square) * identity + 2 * outer + 2 * w * cross) / (w * w + square)


def quaternion_from_rotation(rotation: ArrayLike) -> Poses:
    """Unit quaternions (w, x, y, z), w >= 0, of rotation matrices; inverse of
    :func:`rotation_from_quaternion`.

    Every entry of 4 q q^T is a sum of entries of R; its row with the largest diagonal is 4 q_k q, and the
    largest q_k^2 is at least 1/4, so that no rotation is badly conditioned.

    Args:
        rotation: [..., 3, 3].

    Returns:
        [..., 4].
    """
    r = np.asarray(rotation, dtype=np.float64)
    xx, yy, zz = r[..., 0, 0], r[..., 1, 1], r[..., 2, 2]
    wx, wy, wz = r[..., 2, 1] - r[..., 1, 2], r[..., 0, 2] - r[..., 2, 0], r[..., 1, 0] - r[..., 0, 1]
    xy, xz, yz = r[..., 1, 0] + r[..., 0, 1], r[..., 0, 2] + r[..., 2, 0], r[..., 2, 1] + r[..., 1, 2]
    rows = (
        (1 + xx + yy + zz, wx, wy, wz),
        (wx, 1 + xx - yy - zz, xy, xz),
        (wy, xy, 1 - xx + yy - zz, yz),
        (wz, xz, yz, 1 - xx - yy + zz),
    )
    products = np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)
    best = np.diagonal(products, axis1=-2, axis2=-1).argmax(axis=-1)
    q = np.take_along_axis(products, best[..., None, None], axis=-2)[..., 0, :]
    q = q / np.linalg.norm(q, axis=-1, keepdims=True)
    return np.where(q[..., :1] < 0, -q, q)


def pose_matrix(quaternion: ArrayLike, translation: ArrayLike) -> Poses:
    """Pose of a child frame in its parent, as the nuScenes tables give it.

    Args:
        quaternion: [..., 4] (w, x, y, z).
        translation: [..., 3] metres, origin of the child in the parent.

    Returns:
        [..., 4, 4] parent_from_child.
    """
    rotation = rotation_from_quaternion(quaternion)
    pose = np.zeros((*rotation.shape[:-2], 4, 4))
    pose[..., :3, :3] = rotation
    pose[..., :3, 3] = translation
    pose[..., 3, 3] = 1
    return pose


def inverse(pose: ArrayLike) -> Poses:
    """Inverse of rotations or flips with a translation, [..., 4, 4]: (R, t) -> (R^T, -R^T t)."""
    pose = np.asarray(pose, dtype=np.float64)
    transposed = pose[..., :3, :3].swapaxes(-1, -2)
    result = np.zeros_like(pose)
    result[..., :3, :3] = transposed
    result[..., :3, 3] = -(transposed @ pose[..., :3, 3, None])[..., 0]
    result[..., 3, 3] = 1
    return result


def apply(pose: ArrayLike, points: ArrayLike) -> Poses:
    """Transform points.

    Args:
        pose: [..., 4, 4] dst_from_src.
        points: [..., P, 3] in src, metres.

    Returns:
        [..., P, 3] in dst.
    """
    pose = np.asarray(pose, dtype=np.float64)
    return np.asarray(points) @ pose[..., :3, :3].swapaxes(-1, -2) + pose[..., None, :3, 3]


def rotation_z(yaw: ArrayLike) -> Poses:
    """Rotations about the z axis, counter-clockwise seen from above.

    Args:
        yaw: [...] radians.

    Returns:
        [..., 4, 4].
    """
    yaw = np.asarray(yaw, dtype=np.float64)
    pose = np.zeros((*yaw.shape, 4, 4))
    pose[..., 0, 0] = pose[..., 1, 1] = np.cos(yaw)
    pose[..., 1, 0] = np.sin(yaw)
    pose[..., 0, 1] = -pose[..., 1, 0]
    pose[..., 2, 2] = pose[..., 3, 3] = 1
    return pose


def mirror(flip_x: bool, flip_y: bool) -> Poses:
    """Mirroring, [4, 4]: x -> -x where `flip_x`, y -> -y where `flip_y` (spec/data/pipelines section 2)."""
    return np.diag([-1.0 if flip_x else 1.0, -1.0 if flip_y else 1.0, 1.0, 1.0])
