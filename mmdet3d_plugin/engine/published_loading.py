"""What the published pipeline does to load a sample, step by step: the yardstick of `loader_benchmark.py`.

Written from spec/data/pipelines sections 1 to 6 and spec/data/defects C1 to C4, for measuring only. It leaves out what
the published pipeline ships without need besides tensors (images for drawing, dicts of the tables), so it is a little
faster than the original.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..datasets.base import OccDataset
from ..datasets.randomness import SampleRequest, Stream, generator
from ..datasets.transforms import ImageParameters
from ..geometry.transforms import apply, inverse

MEAN = np.array([[123.675, 116.28, 103.53]])
STD = np.array([[58.395, 57.12, 57.375]])


class PublishedPipeline:
    """Samples as dicts of float32 tensors, from the files and the augmentations of one of our data sets.

    Args:
        dataset: nuScenes with Occ3D labels.
    """

    def __init__(self, dataset: OccDataset):
        self.dataset = dataset
        self.training = dataset.mode == "train"

    def load(self, request: SampleRequest) -> dict[str, Any]:
        """One sample: `imgs` [N * (1 + A), 3, H, W], camera-major, labels, depth maps and geometry."""
        dataset, (index, draw) = self.dataset, request
        rng = generator(dataset.seed, Stream.IMAGE, index, draw) if self.training else None
        parameters = [dataset.image.parameters((int(w), int(h)), rng) for w, h in dataset.image_sizes(index)]
        matrices = np.stack([dataset.image.matrix(p) for p in parameters])
        frames = [index, dataset.previous(index)] if dataset.load_adjacent else [index]
        pixels = [
            [self.resized(self.decoded(file), p) for file, p in zip(dataset.image_files(frame), parameters)]
            for frame in frames
        ]
        camera_major = [image for camera in zip(*pixels) for image in camera]
        points = self.points(index)
        sample = {
            "imgs": torch.stack([self.normalised(image) for image in camera_major]),
            "ego_from_cam": torch.tensor(dataset.volume_from_cam(index), dtype=torch.float32),
            "intrinsics": torch.tensor(dataset.intrinsics(index), dtype=torch.float32),
            "post_transforms": torch.tensor(matrices, dtype=torch.float32),
            "aux_cam_params": torch.tensor(dataset.global_from_cam(index), dtype=torch.float32),
            **self.labels(index, draw),
        }
        if self.training and dataset.depth is not None:
            sample["gt_depth"] = self.depth_maps(points, index, matrices)
        if not self.training:
            sample["points"] = points
        return sample

    def decoded(self, path: Path) -> Image.Image:
        """A whole image at its full size."""
        image = Image.open(path)
        image.load()
        return image

    def resized(self, image: Image.Image, parameters: ImageParameters) -> Image.Image:
        """Bicubic resize, crop, flip and rotation in turn, [H, W] RGB."""
        (height, width), (left, top) = self.dataset.image.size, parameters.crop
        image = image.resize(parameters.resized, Image.Resampling.BICUBIC).crop((left, top, left + width, top + height))
        if parameters.flip:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        return image.rotate(np.degrees(parameters.angle))

    def normalised(self, image: Image.Image) -> Tensor:
        """See :func:`normalise`."""
        return normalise(np.array(image))

    def points(self, index: int) -> Tensor:
        """[P, 3] float32 lidar returns in the ego frame at the time of the sweep; also where nobody uses them."""
        dataset = self.dataset
        ego_from_lidar = inverse(dataset.global_from_volume(index)) @ dataset.global_from_lidar(index)
        return torch.tensor(apply(ego_from_lidar, dataset.points(index)[:, :3]), dtype=torch.float32)

    def depth_maps(self, points: Tensor, index: int, matrices: np.ndarray) -> Tensor:
        """[N, H, W] float32 metres: every camera projects all points and sorts them by pixel and depth in one key."""
        dataset = self.dataset
        assert dataset.depth is not None
        (height, width), (nearest, farthest) = dataset.image.size, dataset.depth.depth_range
        cam_from_ego = inverse(dataset.global_from_cam(index)) @ dataset.global_from_volume(index)
        maps = []
        for pose, intrinsics, matrix in zip(cam_from_ego, dataset.intrinsics(index), matrices):
            rotation, shift, k, post = (
                torch.tensor(m, dtype=torch.float32) for m in (*_split(pose), intrinsics, matrix)
            )
            in_camera = points @ rotation.T + shift
            in_image = in_camera @ k.T
            uv = torch.cat([in_image[:, :2] / in_image[:, 2:], torch.ones_like(in_image[:, :1])], dim=1) @ post.T
            pixel, z = uv[:, :2].round(), in_image[:, 2]
            kept = (pixel[:, 0] >= 0) & (pixel[:, 0] < width) & (pixel[:, 1] >= 0) & (pixel[:, 1] < height)
            kept &= (z >= nearest) & (z < farthest)
            pixel, z = pixel[kept], z[kept]
            rank = pixel[:, 0] + pixel[:, 1] * width
            order = (rank + z / 100.0).argsort()
            pixel, z, rank = pixel[order].long(), z[order], rank[order]
            first = torch.ones(len(rank), dtype=torch.bool)
            first[1:] = rank[1:] != rank[:-1]
            depth = torch.zeros(height, width)
            depth[pixel[first, 1], pixel[first, 0]] = z[first]
            maps.append(depth)
        return torch.stack(maps)

    def labels(self, index: int, draw: int) -> dict[str, Tensor]:
        """[Y, X, Z] labels, 255 outside of the camera mask in training, flipped with the scene."""
        dataset = self.dataset
        (path,) = dataset.labels.paths(dataset.root, dataset.label_name(index))
        arrays = np.load(path)
        occupancy, mask = torch.from_numpy(arrays["semantics"]), torch.from_numpy(arrays["mask_camera"])
        if not self.training:
            return {"gt_occupancy": occupancy.transpose(0, 1).contiguous(), "visible_mask": mask}
        occupancy[mask == 0] = 255
        occupancy = occupancy.transpose(0, 1)
        occupancy = torch.where(occupancy < 255, occupancy + 1, occupancy)
        if dataset.scene is not None:
            grid_from_ego = dataset.scene.draw(generator(dataset.seed, Stream.SCENE, index, draw))
            occupancy = occupancy.flip([axis for axis in (0, 1) if grid_from_ego[1 - axis, 1 - axis] < 0])
        return {"gt_occupancy": occupancy.contiguous(), "visible_mask": mask}

    def collate(self, samples: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """A batch: tensors stacked, sweeps in a list."""
        names = [name for name in samples[0] if name != "points"]
        batch: dict[str, Any] = {name: torch.stack([sample[name] for sample in samples]) for name in names}
        if "points" in samples[0]:
            batch["points"] = [sample["points"] for sample in samples]
        return batch


def normalise(image: np.ndarray) -> Tensor:
    """[3, H, W] float32 of an [H, W, 3] uint8 image: channels swapped, minus the mean, divided by the deviation."""
    array = image.astype(np.float32, order="C")
    cv2.cvtColor(array, cv2.COLOR_BGR2RGB, array)
    cv2.subtract(array, MEAN, array)
    cv2.multiply(array, 1 / STD, array)
    return torch.tensor(array).permute(2, 0, 1).contiguous()


def _split(pose: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return pose[:3, :3], pose[:3, 3]
