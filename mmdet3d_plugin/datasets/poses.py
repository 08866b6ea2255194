"""Rigid transforms of the tables, in float64.

Named `dst_from_src`, acting on column vectors. Global poses have magnitudes of kilometres; everything stays
float64 until two of them are composed to a relative pose (design, section 3).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Poses = NDArray[np.float64]


def pose_matrix(rotation: np.ndarray, translation: np.ndarray) -> Poses:
    """Matrices of poses given as in the tables (spec/data/formats section 1).

    Args:
        rotation: [..., 4] unit quaternions (w, x, y, z).
        translation: [..., 3] metres.

    Returns:
        [..., 4, 4] parent_from_child.
    """
    rotation = np.asarray(rotation, dtype=np.float64)
    w, x, y, z = np.moveaxis(rotation / np.linalg.norm(rotation, axis=-1, keepdims=True), -1, 0)
    matrix = np.zeros((*rotation.shape[:-1], 4, 4))
    matrix[..., 0, 0], matrix[..., 0, 1], matrix[..., 0, 2] = (
        1 - 2 * (y * y + z * z),
        2 * (x * y - w * z),
        2 * (x * z + w * y),
    )
    matrix[..., 1, 0], matrix[..., 1, 1], matrix[..., 1, 2] = (
        2 * (x * y + w * z),
        1 - 2 * (x * x + z * z),
        2 * (y * z - w * x),
    )
    matrix[..., 2, 0], matrix[..., 2, 1], matrix[..., 2, 2] = (
        2 * (x * z - w * y),
        2 * (y * z + w * x),
        1 - 2 * (x * x + y * y),
    )
    matrix[..., :3, 3] = translation
    matrix[..., 3, 3] = 1
    return matrix


def inverse(pose: Poses) -> Poses:
    """Inverse of rigid transforms, [..., 4, 4]: the rotation is transposed, so that no precision is lost."""
    result = np.zeros_like(pose)
    rotation = np.swapaxes(pose[..., :3, :3], -1, -2)
    result[..., :3, :3] = rotation
    result[..., :3, 3] = -(rotation @ pose[..., :3, 3, None])[..., 0]
    result[..., 3, 3] = 1
    return result


def apply(pose: Poses, points: np.ndarray) -> Poses:
    """Transform points [..., P, 3] by poses [..., 4, 4]; returns [..., P, 3]."""
    return points @ np.swapaxes(pose[..., :3, :3], -1, -2) + pose[..., None, :3, 3]
