"""Depth and class of lidar returns in the images (spec/data/pipelines section 4)."""

from __future__ import annotations

import numpy as np

from ...errors import ConfigError
from ...geometry.transforms import Poses, apply
from ...registry import TRANSFORMS
from ...structures import IGNORE

_METRES, _PIXELS = np.float32(0.1), np.float32(2.0)  # by which a quick float32 test may be wrong; it is by far less


@TRANSFORMS.register_module()
class DepthMaps:
    """What depth targets look like.

    Args:
        depth_range: (nearest, farthest) z-depth in metres; half open.
        semantics: also make the map of lidar classes.
        as_input: the model takes lidar depth as an input, so it is made in evaluation too.

    Raises:
        ConfigError: the range is empty.
    """

    def __init__(self, depth_range: tuple[float, float], semantics: bool = False, as_input: bool = False):
        if not 0 < depth_range[0] < depth_range[1]:
            raise ConfigError("DepthMaps.depth_range is empty", found=depth_range, expected="0 < nearest < farthest")
        self.depth_range = tuple(depth_range)
        self.semantics = semantics
        self.as_input = as_input

    def project(
        self,
        points: np.ndarray,
        classes: np.ndarray | None,
        cam_from_points: Poses,
        pixel_from_cam: np.ndarray,
        crop_from_pixel: np.ndarray,
        size: tuple[int, int],
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Maps of a sweep that is not in the camera frame yet; see :meth:`__call__`.

        A quick test with some margin first drops what is out of view, most of a sweep; what remains is treated
        exactly.

        Args:
            points: [P, >= 3] float32, metres.
            cam_from_points: [4, 4] float64.
        """
        height, width = size
        x, y, z = np.ascontiguousarray(points[:, :3].T)
        # Rows of the projection: depth, and pixels times depth. No matrix product: it would start threads.
        a, b, c, d = cam_from_points[2].astype(x.dtype)
        ahead = a * x + b * y + c * z + d
        rows = np.flatnonzero((ahead > self.depth_range[0] - _METRES) & (ahead < self.depth_range[1] + _METRES))
        x, y, z, ahead = x[rows], y[rows], z[rows], ahead[rows]
        seen = np.ones(len(rows), dtype=bool)
        for row, length in zip(crop_from_pixel @ pixel_from_cam @ cam_from_points[:3], (width, height)):
            a, b, c, d = row.astype(x.dtype)
            place = a * x + b * y + c * z + d
            seen &= (place > -_PIXELS * ahead) & (place < (length + _PIXELS) * ahead)
        rows = rows[seen]
        in_camera = apply(cam_from_points, points[rows, :3].astype(np.float64))
        return self(in_camera, None if classes is None else classes[rows], pixel_from_cam, crop_from_pixel, size)

    def __call__(
        self,
        points: np.ndarray,
        classes: np.ndarray | None,
        pixel_from_cam: np.ndarray,
        crop_from_pixel: np.ndarray,
        size: tuple[int, int],
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Project a sweep into one image; of several returns in a pixel the nearest counts, compared exactly.

        Args:
            points: [P, 3] in the camera frame at the time of the image, metres.
            classes: [P] uint8 label ids, or None.
            pixel_from_cam: [3, 3] intrinsics.
            crop_from_pixel: [3, 3] image augmentation.
            size: (H, W) of the network input.

        Returns:
            depth [H, W] float32 z-depth in metres, 0 = none; classes [H, W] uint8, 255 = none (None without
            classes).
        """
        height, width = size
        z = points[:, 2].astype(np.float32)  # the type of the map, so that rounding cannot leave the range
        row = np.flatnonzero((z >= self.depth_range[0]) & (z < self.depth_range[1]))
        # Both maps are affine in (u, v, 1), so they compose to one 3 x 3 matrix.
        pixel = points[row] @ (crop_from_pixel @ pixel_from_cam).T
        column, line = np.rint(pixel[:, :2] / z[row, None]).astype(np.int64).T
        seen = (column >= 0) & (column < width) & (line >= 0) & (line < height)
        row, target = row[seen], (line * width + column)[seen]
        order = np.lexsort((z[row], target))  # by pixel, nearest first; ties keep the order of the sweep
        row, target = row[order], target[order]
        nearest = np.r_[True, target[1:] != target[:-1]][: len(target)]
        depth = np.zeros(height * width, dtype=np.float32)
        depth[target[nearest]] = z[row[nearest]]
        if classes is None:
            return depth.reshape(size), None
        semantics = np.full(height * width, IGNORE, dtype=np.uint8)
        semantics[target[nearest]] = classes[row[nearest]]
        return depth.reshape(size), semantics.reshape(size)
