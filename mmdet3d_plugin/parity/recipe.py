"""The synthetic weights and inputs behind the golden figures, rebuilt from their definition (golden/README).

Every number comes from NumPy's PCG64 generator, so that nothing but a seed has to be shipped.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..structures import AdjacentImages, CameraRig, Frame, FrameMeta

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Cameras:
    """The cameras of one vehicle.

    Attributes:
        yaw: degrees, in the order of the cameras.
        translation: in the ego frame, metres.
        focal, centre_x, centre_y: intrinsics, pixels of the original image.
        source_size: (H, W) of the images before augmentation, pixels.
    """

    yaw: tuple[float, ...]
    translation: tuple[tuple[float, float, float], ...]
    focal: tuple[float, ...]
    centre_x: tuple[float, ...]
    centre_y: tuple[float, ...]
    source_size: tuple[int, int]

    def __len__(self) -> int:
        return len(self.yaw)


NUSCENES = Cameras(
    yaw=(55.3, 0.7, -56.1, 108.7, 179.2, -110.9),
    translation=(
        (1.52, 0.49, 1.51), (1.70, 0.02, 1.53), (1.55, -0.49, 1.50),
        (1.03, 0.48, 1.56), (0.03, 0.01, 1.57), (1.01, -0.48, 1.55),
    ),
    focal=(1272.6, 1266.4, 1260.8, 1256.7, 809.2, 1259.5),
    centre_x=(826.6, 816.3, 807.9, 792.1, 829.2, 807.3),
    centre_y=(479.8, 491.5, 495.3, 492.8, 481.8, 501.2),
    source_size=(900, 1600),
)  # fmt: skip
WAYMO = Cameras(  # front, front left, front right, side left, side right
    yaw=(0.7, 45.3, -45.9, 90.4, -90.8),
    translation=(
        (1.54, -0.02, 2.11), (1.49, 0.09, 2.11), (1.49, -0.10, 2.11), (1.43, 0.11, 2.11), (1.43, -0.12, 2.11),
    ),
    focal=(2059.1, 2056.3, 2071.2, 2060.6, 2055.9),
    centre_x=(946.4, 966.2, 972.9, 969.0, 967.5),
    centre_y=(634.7, 646.4, 639.0, 237.3, 241.0),
    source_size=(1280, 1920),
)  # fmt: skip
_ROUNDING = 1e-7
_EGO_FROM_CAM_AXES = np.array([[0, 0, 1], [-1, 0, 0], [0, -1, 0]], dtype=np.float64)
_FIRST_ROW, _FIRST_COLUMN, _STEP = 3, 5, 8  # the pixels that may hold a lidar return
RETURNS = np.s_[:, _FIRST_ROW::_STEP, _FIRST_COLUMN::_STEP]  # of [N, H, W]
_DEPTH_RANGE = (1.0, 44.0)  # metres
_KEPT_SHARE = 0.7


def generator(*seed: int) -> np.random.Generator:
    """The generator of one ingredient."""
    return np.random.Generator(np.random.PCG64(list(seed) if len(seed) > 1 else seed[0]))


def weight(key: str, shape: Sequence[int], seed: int) -> NDArray[np.float32]:
    """Value of a floating tensor of a published state dict: a function of its key, its shape and the seed."""
    normal = generator(zlib.crc32(key.encode()) ^ seed).standard_normal(tuple(shape))
    last = key.rpartition(".")[2]
    if last == "running_var":
        value = 1 + 0.1 * np.abs(normal)
    elif last == "running_mean":
        value = 0.1 * normal
    elif len(shape) >= 2:
        value = normal / math.sqrt(max(1, math.prod(shape[1:])))
    else:
        value = 1 + 0.1 * normal if last == "weight" else 0.1 * normal
    return np.asarray(value, dtype=np.float32)


def published_state_dict(manifest: Mapping[str, Any], seed: int) -> dict[str, Tensor]:
    """State dict of a published model with the weights of the recipe.

    Args:
        manifest: content of `manifests/STEM.json`.
        seed: of the golden file to compare with.
    """
    aliases = manifest["aliases"]
    return {
        key: torch.from_numpy(weight(aliases.get(key, key), shape, seed))
        if dtype.startswith("float")
        else torch.zeros(shape, dtype=getattr(torch, dtype))
        for key, shape, dtype in manifest["state_dict"]
    }


def sample_positions(name: str, size: int, count: int = 2048) -> NDArray[np.int64]:
    """Flat positions at which the golden file keeps the tensor `name` of `size` elements."""
    return generator(zlib.crc32(name.encode())).integers(0, size, count)


def logit_positions(num_voxels: int) -> NDArray[np.int64]:
    """Flat positions over (Y, X, Z) at which the golden file keeps the logits."""
    return generator(4096).integers(0, num_voxels, 4096)


def rotation(yaw: float, pitch: float, roll: float) -> Array:
    """Rz(yaw) Ry(pitch) Rx(roll), angles in radians; [3, 3]."""
    cy, sy, cp, sp, cr, sr = (f(a) for a in (yaw, pitch, roll) for f in (np.cos, np.sin))
    about_z = np.array([[cy, -sy, 0], [sy, cy, 0], [0, 0, 1]])
    about_y = np.array([[cp, 0, sp], [0, 1, 0], [-sp, 0, cp]])
    about_x = np.array([[1, 0, 0], [0, cr, -sr], [0, sr, cr]])
    return about_z @ about_y @ about_x


def _affine(linear: Array, shift: Sequence[float]) -> Array:
    matrix = np.eye(len(shift) + 1)
    matrix[:-1, :-1], matrix[:-1, -1] = linear, shift
    return matrix


def ego_pose(t: int) -> Array:
    """Global from ego at frame t, [4, 4] metres."""
    return _affine(rotation(0.013 * t, 0.0, 0.0), (2.03 * t, 0.07 * t * t, 0.01 * t))


def camera_poses(cameras: Cameras = NUSCENES) -> Array:
    """Ego from camera, [N, 4, 4] metres."""
    angles = np.deg2rad([(yaw, 0.9 + 0.2 * i, 0.3 - 0.1 * i) for i, yaw in enumerate(cameras.yaw)])
    pairs = zip(angles, cameras.translation)
    return np.stack([_affine(rotation(*a) @ _EGO_FROM_CAM_AXES, t) for a, t in pairs])


def rig(image_size: tuple[int, int], batch: int = 1, cameras: Cameras = NUSCENES) -> CameraRig:
    """Calibration of a network input of (H, W) pixels: test-time resize and a crop at the bottom."""
    intrinsics = np.zeros((len(cameras), 3, 3))
    intrinsics[:, 0, 0] = intrinsics[:, 1, 1] = cameras.focal
    intrinsics[:, 0, 2], intrinsics[:, 1, 2], intrinsics[:, 2, 2] = cameras.centre_x, cameras.centre_y, 1
    height, width = cameras.source_size
    scale = image_size[1] / width
    crop = _affine(scale * np.eye(2), (0.0, -(int(height * scale) - image_size[0])))

    def batched(array: Array, *lead: int) -> Tensor:
        return torch.from_numpy(array).float().expand(*lead, *array.shape[-2:])

    return CameraRig(
        ego_from_cam=batched(camera_poses(cameras), batch, len(cameras)),
        pixel_from_cam=batched(intrinsics, batch, len(cameras)),
        crop_from_pixel=batched(crop, batch, len(cameras)),
        grid_from_ego=batched(np.eye(4), batch),
    )


def image(t: int, camera: int, image_size: tuple[int, int], seed: int) -> NDArray[np.float32]:
    """Normalised image [3, H, W]: coarse squares that drift with time, and noise."""
    height, width = image_size
    coarse = generator(seed, 1, camera).uniform(-2, 2, (3, -(-height // 32), -(-width // 32)))
    squares = np.kron(coarse, np.ones((1, 32, 32)))[:, :height, :width]
    noise = generator(seed, 2, camera, t).standard_normal((3, height, width))
    return (np.roll(squares, 4 * t, axis=2) + 0.25 * noise).astype(np.float32)


def depth(t: int, image_size: tuple[int, int], seed: int, cameras: int = len(NUSCENES)) -> NDArray[np.float32]:
    """Lidar depth [N, H, W] in metres at one pixel of each 8 x 8, 0 where there is none."""
    rng = generator(seed, 3, t)
    depth_map = np.zeros((cameras, *image_size), dtype=np.float32)
    shape = depth_map[RETURNS].shape
    metres = rng.uniform(*_DEPTH_RANGE, shape)
    depth_map[RETURNS] = metres * (rng.random(shape) < _KEPT_SHARE)
    return depth_map


@dataclass(frozen=True)
class Inputs:
    """What a golden file was fed: a sequence of frames.

    Attributes:
        image_size: (H, W) of the network input, pixels.
        seed: of the golden file.
        cameras: of the vehicle.
        adjacent: the model takes the images of the previous frame.
        lidar_depth: the model takes lidar depth.
        noise: None as published; a number = images times 1 + 1e-7 times the normal variates of that seed, to
            see what the rounding of float32 may change.
    """

    image_size: tuple[int, int]
    seed: int
    cameras: Cameras = NUSCENES
    adjacent: bool = True
    lidar_depth: bool = False
    noise: int | None = None

    @classmethod
    def of_config(cls, cfg: Any, seed: int, noise: int | None = None) -> Inputs:
        """What the test set of a config gives to its model.

        Args:
            cfg: as `load_config` returns it.
            seed: of the golden file.
            noise: see the attribute.
        """
        data = cfg.test_dataloader.dataset
        return cls(
            image_size=tuple(data.image.size),
            seed=seed,
            cameras=WAYMO if data.type == "WaymoOccDataset" else NUSCENES,
            adjacent=bool(data.get("load_adjacent")),
            lidar_depth=bool((data.get("depth") or {}).get("as_input")),
            noise=noise,
        )

    def frame(self, t: int, batch: int = 1) -> Frame:
        """Frame t of the sequence; sample b > 0 of a batch shows the images of seed + 1000 b.

        Args:
            t: number of the frame, 0 starts the sequence.
            batch: number of samples.
        """
        before = max(t - 1, 0)
        poses = camera_poses(self.cameras)
        adjacent_from_cam = np.linalg.inv(ego_pose(before) @ poses) @ (ego_pose(t) @ poses)
        prev_from_ego = np.linalg.inv(ego_pose(before)) @ ego_pose(t)
        adjacent = AdjacentImages(
            images=self._images(before, batch),
            adjacent_from_cam=torch.from_numpy(adjacent_from_cam).float().expand(batch, len(poses), 4, 4),
        )
        return Frame(
            images=self._images(t, batch),
            rig=rig(self.image_size, batch, self.cameras),
            meta=FrameMeta(
                sequence_id=torch.zeros(batch, dtype=torch.int64),
                starts_sequence=torch.full((batch,), t == 0),
                prev_from_ego=torch.from_numpy(prev_from_ego).float().expand(batch, 4, 4),
                time=torch.full((batch,), 0.5 * t, dtype=torch.float64),
                token=tuple(f"golden-{t}-{b}" for b in range(batch)),
                frame="ego_cam_front_time",
            ),
            adjacent=adjacent if self.adjacent else None,
            lidar_depth=self._lidar_depth(t, batch) if self.lidar_depth else None,
        )

    def _images(self, t: int, batch: int) -> Tensor:
        seeds = [self.seed + 1000 * b for b in range(batch)]
        numbers = range(len(self.cameras))
        images = np.stack([[image(t, c, self.image_size, s) for c in numbers] for s in seeds])
        if self.noise is not None:
            images *= 1 + _ROUNDING * generator(self.noise, t).standard_normal(images.shape, dtype=np.float32)
        return torch.from_numpy(images)

    def _lidar_depth(self, t: int, batch: int) -> Tensor:
        seeds = [self.seed + 1000 * b for b in range(batch)]
        return torch.from_numpy(np.stack([depth(t, self.image_size, s, len(self.cameras)) for s in seeds]))


def frame(t: int, image_size: tuple[int, int], seed: int, batch: int = 1) -> Frame:
    """Frame t with the six cameras of nuScenes and adjacent images, see :meth:`Inputs.frame`."""
    return Inputs(image_size, seed).frame(t, batch)
