"""The sensor rig: six cameras and a lidar (spec/data/synthetic.md section 3)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ...errors import ConfigError
from .catalog import generator

IMAGE_SIZE = (1600, 900)
LIDAR_CHANNEL = "LIDAR_TOP"
RINGS, AZIMUTHS, MAX_RANGE = 32, 1085, 100.0
ROOF = ((-0.6, -0.85), (2.0, 0.85), 1.6)
"""Corners (x, y) and height of the roof of the ego vehicle, ego frame, metres."""
OWN_RANGE = 2.5
"""Metres within which the lidar sees its own vehicle."""
LOWEST, HIGHEST = math.radians(-30.67), math.radians(10.67)

CameraValues = tuple[float, float, float, float, float, float, float, float, float]
"""Ego x, y, z (m); yaw, pitch (degrees); f, cx, cy at full size (pixels); milliseconds before the lidar."""

_CAMERAS: dict[
    str, CameraValues
] = {  # ego x, y, z (m) · yaw, pitch (degrees) · f, cx, cy at 1600 x 900 · milliseconds before LIDAR_TOP
    "CAM_FRONT": (1.70, 0.02, 1.51, 0.3, -0.3, 1266, 816, 492, 35.0),
    "CAM_FRONT_RIGHT": (1.55, -0.49, 1.50, -56.4, -0.8, 1261, 808, 495, 28.0),
    "CAM_FRONT_LEFT": (1.52, 0.49, 1.51, 55.2, 0.1, 1273, 827, 480, 43.0),
    "CAM_BACK": (0.03, 0.00, 1.58, 179.9, 1.0, 809, 829, 482, 10.0),
    "CAM_BACK_LEFT": (1.04, 0.48, 1.59, 108.6, -0.9, 1257, 792, 493, 0.5),
    "CAM_BACK_RIGHT": (1.01, -0.48, 1.56, -110.8, -0.9, 1260, 807, 501, 20.0),
}
CAMERAS = tuple(_CAMERAS)
_LIDAR = (0.94, 0.0, 1.84, -90.0, -1.4)
_CAMERA_AXES = np.array(
    [[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]]
)  # right, down, forward to forward, left, up
_LIDAR_AXES = np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])  # right, forward, up to forward, left, up


def rotation_z(angle: float) -> np.ndarray:
    """Rotation by an angle (radians) about the vertical, [3, 3]."""
    c, s = math.cos(angle), math.sin(angle)
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


def _rotation_y(angle: float) -> np.ndarray:
    c, s = math.cos(angle), math.sin(angle)
    return np.array([[c, 0.0, s], [0.0, 1.0, 0.0], [-s, 0.0, c]])


def _rotation_x(angle: float) -> np.ndarray:
    c, s = math.cos(angle), math.sin(angle)
    return np.array([[1.0, 0.0, 0.0], [0.0, c, -s], [0.0, s, c]])


def rigid(rotation: np.ndarray, translation: np.ndarray) -> np.ndarray:
    """A [4, 4] transform from a rotation [3, 3] and a translation [3]."""
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = rotation, translation
    return matrix


def quaternion(rotation: np.ndarray) -> list[float]:
    """Unit quaternion (w, x, y, z), w >= 0, of a rotation matrix [3, 3] (Shepperd's method)."""
    trace = np.trace(rotation)
    squares = np.array([trace, *np.diag(rotation)])
    largest = int(squares.argmax())
    r = rotation
    if largest == 0:
        q = np.array([1 + trace, r[2, 1] - r[1, 2], r[0, 2] - r[2, 0], r[1, 0] - r[0, 1]])
    else:
        i = largest - 1
        j, k = (i + 1) % 3, (i + 2) % 3
        q = np.zeros(4)
        q[0], q[1 + i] = r[k, j] - r[j, k], 1 + 2 * r[i, i] - trace
        q[1 + j], q[1 + k] = r[j, i] + r[i, j], r[k, i] + r[i, k]
    q /= np.linalg.norm(q)
    return [float(v) for v in (-q if q[0] < 0 else q)]


@dataclass(frozen=True)
class Camera:
    """One pinhole camera.

    Attributes:
        channel: nuScenes name.
        ego_from_cam: [4, 4] metres; camera axes right, down, forward.
        intrinsics: [3, 3] pixels; an integer coordinate is the middle of a pixel.
        size: width, height of the image in pixels.
        delay: seconds relative to the time stamp of the lidar (negative: earlier).
    """

    channel: str
    ego_from_cam: np.ndarray
    intrinsics: np.ndarray
    size: tuple[int, int]
    delay: float


@dataclass(frozen=True)
class LidarFlaws:
    """What a real lidar does and an exact one does not; by default nothing.

    Attributes:
        range_noise: standard deviation of the measured distances, metres; 0.01 is realistic.
        own_car: also returns of the roof that the sensor stands on, class `vehicle.ego`, nearer than 2.5 m.

    Raises:
        ConfigError: the noise is out of range.
    """

    range_noise: float = 0.0
    own_car: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.range_noise <= 1:
            raise ConfigError("range noise of the lidar", found=self.range_noise, expected="0 to 1 m")


NO_FLAWS = LidarFlaws()


@dataclass(frozen=True)
class Rig:
    """Calibration of one scene: six cameras in the order of nuScenes' channels, and the lidar."""

    cameras: tuple[Camera, ...]
    ego_from_lidar: np.ndarray


def make_rig(seed: int, scene: str, image_scale: float) -> Rig:
    """Calibration of a scene: the nominal rig with a jitter of 0.5 degrees, 2 cm and 0.5 % of the focal length.

    Args:
        seed, scene: what the jitter depends on.
        image_scale: size of the images as a share of 1600 x 900; pixel centres stay pixel centres, so
            cx' = (cx + 0.5) * scale - 0.5.
    """
    cameras = [
        make_camera(seed, scene, channel, values, IMAGE_SIZE, image_scale) for channel, values in _CAMERAS.items()
    ]
    return Rig(tuple(cameras), _lidar_pose(seed, scene))


def make_camera(
    seed: int, scene: str, channel: str, values: CameraValues, full_size: tuple[int, int], image_scale: float
) -> Camera:
    """One camera of a scene, with the jitter of `make_rig`.

    Args:
        seed, scene, channel: what the jitter depends on.
        values: nominal mounting and intrinsics.
        full_size: width, height of the image that the intrinsics belong to.
        image_scale: size of the image as a share of it.
    """
    x, y, z, yaw, pitch, focal, cx, cy, early = values
    size = (round(full_size[0] * image_scale), round(full_size[1] * image_scale))
    jitter = generator(seed, scene, "calibration", channel).uniform(-1, 1, 7)
    turn = np.radians((yaw, -pitch, 0.0) + 0.5 * jitter[:3])
    rotation = rotation_z(turn[0]) @ _rotation_y(turn[1]) @ _rotation_x(turn[2]) @ _CAMERA_AXES
    f = focal * (1 + 0.005 * jitter[6]) * image_scale
    intrinsics = np.array(
        [[f, 0, (cx + 0.5) * image_scale - 0.5], [0, f, (cy + 0.5) * image_scale - 0.5], [0, 0, 1]], np.float64
    )
    position = np.array((x, y, z)) + 0.02 * jitter[3:6]
    return Camera(channel, rigid(rotation, position), intrinsics, size, -early * 1e-3)


def _lidar_pose(seed: int, scene: str) -> np.ndarray:
    x, y, z, yaw, pitch = _LIDAR
    jitter = generator(seed, scene, "calibration", LIDAR_CHANNEL).uniform(-1, 1, 6)
    turn = np.radians((yaw + 90.0, -pitch, 0.0) + 0.5 * jitter[:3])
    rotation = rotation_z(turn[0]) @ _rotation_y(turn[1]) @ _rotation_x(turn[2]) @ _LIDAR_AXES
    return rigid(rotation, np.array((x, y, z)) + 0.02 * jitter[3:])


def roof_distances(ego_from_lidar: np.ndarray) -> np.ndarray:
    """Where the beams meet the roof of the ego vehicle: [34720] metres from the lidar, inf where they do not.

    Args:
        ego_from_lidar: [4, 4] metres.
    """
    (x0, y0), (x1, y1), height = ROOF
    directions = lidar_directions()[0] @ ego_from_lidar[:3, :3].T
    origin = ego_from_lidar[:3, 3]
    with np.errstate(divide="ignore"):
        distance = (height - origin[2]) / directions[:, 2]
    x, y = (origin[:2] + directions[:, :2] * distance[:, None]).T
    met = (directions[:, 2] < 0) & (distance < OWN_RANGE) & (x > x0) & (x < x1) & (y > y0) & (y < y1)
    return np.where(met, distance, np.inf)


def lidar_directions() -> tuple[np.ndarray, np.ndarray]:
    """Unit directions of all beams in the lidar frame and their rings: [34720, 3] float64, [34720] int64.

    The azimuth turns clockwise from the rear, as the sensor does; the rings of one firing follow each other.
    """
    azimuth = -math.pi / 2 - 2 * math.pi * np.arange(AZIMUTHS) / AZIMUTHS
    elevation = np.linspace(LOWEST, HIGHEST, RINGS)
    a, e = np.meshgrid(azimuth, elevation, indexing="ij")
    directions = np.stack((np.cos(e) * np.cos(a), np.cos(e) * np.sin(a), np.sin(e)), -1).reshape(-1, 3)
    return directions, np.tile(np.arange(RINGS), AZIMUTHS)
