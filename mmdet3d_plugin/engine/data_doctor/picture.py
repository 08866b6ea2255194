"""Pictures of a data set: voxels of one key frame over its images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from ...datasets.files import read_jpeg
from ...datasets.index import CAMERAS
from ...datasets.labels import KeyFrameName, LabelSet
from ...errors import DataError
from ...geometry.transforms import inverse
from ...visualization.projection import CameraImage, compose_projection
from .findings import Finding
from .inventory import Tree

_WIDE = 1200  # pixels; wider images are decoded at half their size


@dataclass(frozen=True)
class View:
    """An image file and where it was taken.

    Attributes:
        name: of the camera.
        file: JPEG or PNG.
        size: (width, height) in pixels.
        volume_from_cam: [4, 4] pose of the camera in the frame of the labels, metres.
        intrinsics: [3, 3] pixel_from_cam of the file.
    """

    name: str
    file: Path
    size: tuple[int, int]
    volume_from_cam: np.ndarray
    intrinsics: np.ndarray


def tree_views(tree: Tree, labels: LabelSet, row: int) -> list[View]:
    """The six images of a key frame, each at its own time."""
    index = tree.index
    global_from_volume = index.global_from_ego[row]
    if labels.frame == "lidar":
        global_from_volume = global_from_volume @ index.ego_from_lidar[row]
    poses = inverse(global_from_volume) @ index.camera_global_from_ego[row] @ index.camera_ego_from_cam[row]
    return [
        View(camera, tree.root / str(file), (int(size[0]), int(size[1])), pose, matrix)
        for camera, file, size, pose, matrix in zip(
            CAMERAS, index.image_file[row], index.image_size[row], poses, index.intrinsics[row]
        )
    ]


def draw(root: Path, labels: LabelSet, key_frame: KeyFrameName, views: Sequence[View], path: Path) -> Iterator[Finding]:
    """Write the picture of a key frame. An image that cannot be read is black, and a finding.

    Args:
        root: folder of the data set.
        labels: reader of its labels.
        key_frame: names of the key frame.
        views: its images.
        path: PNG file to write; its folder is made.

    Raises:
        DataError: the labels cannot be read.
        OSError: the picture cannot be written.
    """
    volume = labels.load(root, key_frame, training=False)
    cameras = []
    for view in views:
        width, height = view.size
        reduction = 2 if width > _WIDE else 1
        try:
            image = read_jpeg(view.file, view.size, reduction)
        except DataError as error:
            yield Finding("images", str(error), "PROBLEM")
            image = np.zeros((-(-height // reduction), -(-width // reduction), 3), dtype=np.uint8)
        reduce = np.diag((1 / reduction, 1 / reduction, 1.0))
        reduce[:2, 2] = (1 / reduction - 1) / 2  # pixel centres are integers: u' + 0.5 = (u + 0.5) / r
        cameras.append(CameraImage(view.name, image, view.volume_from_cam, reduce @ view.intrinsics))
    title = f"{labels.space.name} over the cameras: {root.name}, {key_frame.scene_name}, {key_frame.token}"
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(compose_projection(volume.occupancy, labels.space, labels.grid, cameras, title)).save(path)
    yield Finding("picture", str(path))
