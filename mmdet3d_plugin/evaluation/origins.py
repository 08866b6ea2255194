"""Origins of the evaluation rays: where the lidar was in the course of the scene."""

from __future__ import annotations

import hashlib
from collections import OrderedDict

import numpy as np

from ..errors import DataError

MAX_ORIGINS = 8
_SCENES_KEPT = 8  # samples of a scene are scored one after the other
_kept: OrderedDict[bytes, tuple[np.ndarray, ...]] = OrderedDict()
_HALF_RANGE = 39.0  # metres; origins closer than 1 m to the border of the 80 m volume are not used


def lidar_origins(global_from_ego: np.ndarray, ego_from_lidar: np.ndarray, reference: int) -> np.ndarray:
    """Lidar positions of the key frames of a scene, seen from one of them (spec/metrics 5.2).

    Positions further than 39 m along x or y are dropped; height is not tested. More than eight are thinned
    out evenly, which keeps the first and the last but not always the reference frame itself.

    Args:
        global_from_ego: [F, 4, 4] float64 ego poses at the lidar time stamps of all key frames of one scene,
            in order.
        ego_from_lidar: [F, 4, 4] float64 mounting of the lidar in each key frame.
        reference: index of the scored key frame.

    Returns:
        [K, 3] float64, metres, ego frame of the reference key frame at its lidar time, K <= 8.

    Raises:
        DataError: the arrays do not hold F poses, hold a value that is not finite, or lack the reference.
    """
    poses, mounts = np.asarray(global_from_ego, np.float64), np.asarray(ego_from_lidar, np.float64)
    if poses.ndim != 3 or poses.shape[1:] != (4, 4) or mounts.shape != poses.shape:
        raise DataError(
            "poses of a scene", found=f"{poses.shape} and {mounts.shape}", expected="(F, 4, 4) twice, equal F"
        )
    if not 0 <= reference < len(poses):
        raise DataError("reference frame of ray origins", found=reference, expected=f"0 to {len(poses) - 1}")
    if not (np.isfinite(poses).all() and np.isfinite(mounts).all()):
        raise DataError("poses of a scene hold a value that is not finite")
    global_from_lidar = poses @ mounts
    reference_from_lidar = np.linalg.inv(global_from_lidar[reference]) @ global_from_lidar
    positions = reference_from_lidar[:, :3, 3]
    positions[reference] = 0.0  # exactly, whatever the rounding of the inverse
    positions = positions.astype(np.float32).astype(np.float64)
    mount = mounts[reference]
    origins = positions @ mount[:3, :3].T + mount[:3, 3]
    origins = origins[(np.abs(origins[:, :2]) < _HALF_RANGE).all(axis=1)]
    if len(origins) > MAX_ORIGINS:
        origins = origins[np.rint(np.linspace(0, len(origins) - 1, MAX_ORIGINS)).astype(np.int64)]
    return origins


def scene_origins(global_from_ego: np.ndarray, ego_from_lidar: np.ndarray) -> tuple[np.ndarray, ...]:
    """`lidar_origins` of every key frame of a scene, computed once: kept under a checksum of all its poses.

    Args:
        global_from_ego, ego_from_lidar: [F, 4, 4] float64, see `lidar_origins`.

    Returns:
        F arrays [K, 3], not to be written to.

    Raises:
        DataError: as `lidar_origins`.
    """
    poses, mounts = np.ascontiguousarray(global_from_ego), np.ascontiguousarray(ego_from_lidar)
    checksum = hashlib.sha256(poses.tobytes() + mounts.tobytes()).digest()
    if checksum not in _kept:
        _kept[checksum] = tuple(lidar_origins(poses, mounts, reference) for reference in range(len(poses)))
        while len(_kept) > _SCENES_KEPT:
            _kept.popitem(last=False)
    return _kept[checksum]
