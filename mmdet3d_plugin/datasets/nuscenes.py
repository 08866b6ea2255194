"""nuScenes key frames with occupancy labels, straight from the JSON tables."""

from __future__ import annotations

from typing import Literal

import numpy as np

from ..errors import DataError
from ..geometry.transforms import Poses, apply, inverse
from ..registry import DATASETS, TRANSFORMS
from ..structures import LabelSpace, VolumeFrame, VoxelGrid
from .checks import find_root, require_label_files
from .files import read_points
from .index import CAMERAS, FRONT, KeyFrameIndex, load_index
from .labels.base import LabelSet, LabelVolume, require_choice
from .labels.lidarseg import PointClasses
from .randomness import SampleRequest, Stream, generator
from .sample import Sample
from .sequences import split_sequences
from .splits import split_scenes
from .transforms import DepthMaps, ImageParameters, ImagePipeline, SceneAugmentation, transform_labels

Mode = Literal["train", "evaluate", "predict"]


@DATASETS.register_module()
class NuScenesOccDataset:
    """Key frames of a split, by scene and time.

    `dataset[index]` or `dataset[SampleRequest(index, draw)]` gives a :class:`Sample` that depends on nothing
    else: all randomness comes from a counter keyed by (seed, index, draw).

    Args:
        root: folder of the data set; a relative path is looked up from the working directory, then from the
            project.
        version: folder of the tables, for example "v1.0-trainval".
        split: "train", "val", ... (see :func:`split_scenes`).
        labels: config of a :class:`LabelSet`, which also says on which grid.
        image: config of an :class:`ImagePipeline`.
        mode: "train" draws augmentations and masks the labels; "evaluate" does neither and adds visibility
            masks and ray origins; "predict" reads images and calibration only.
        scene: config of a :class:`SceneAugmentation`, None for no augmentation. Used in training.
        depth: config of :class:`DepthMaps`, None for no depth. Used in training, and in evaluation as an
            input.
        load_adjacent: also load the images of the previous key frame, for stereo depth.
        key_frame: where cameras are relative to when labels live in the ego frame: "lidar_ego", the ego frame
            of the labels, or "cam_front_ego", the ego frame at the time of CAM_FRONT, as published
            (spec/data/defects F1).
        sequences_split: number of parts into which a scene is cut to train streams.
        seed: of all augmentations.

    Attributes:
        label_space, grid: of the labels.
        tokens, scene_names: of every key frame.
        sequences: positions of the key frames of each stream, by time.

    Raises:
        ConfigError: an unknown mode, split or grid.
        DataError: the root, version, tables or label files of the split are missing.
    """

    def __init__(
        self,
        root: str,
        version: str,
        split: str,
        labels: dict,
        image: dict,
        mode: Mode = "train",
        scene: dict | None = None,
        depth: dict | None = None,
        load_adjacent: bool = False,
        key_frame: Literal["lidar_ego", "cam_front_ego"] = "lidar_ego",
        sequences_split: int = 1,
        seed: int = 0,
    ):
        self.mode = require_choice("NuScenesOccDataset.mode", mode, ("train", "evaluate", "predict"))
        self.key_frame = require_choice("NuScenesOccDataset.key_frame", key_frame, ("lidar_ego", "cam_front_ego"))
        self.labels: LabelSet = TRANSFORMS.build(labels)
        self.image: ImagePipeline = TRANSFORMS.build(image)
        self.scene: SceneAugmentation | None = TRANSFORMS.build(scene) if scene else None
        self.depth: DepthMaps | None = TRANSFORMS.build(depth) if depth else None
        self.load_adjacent = load_adjacent
        self.seed = seed
        self.root = find_root(root, version)
        tables = load_index(self.root, version)
        scenes = split_scenes(self.root, version, split, tables.scene_names.tolist())
        self.index: KeyFrameIndex = tables.select(scenes)
        self.streams = split_sequences(self.index, sequences_split)
        self.point_classes: PointClasses | None = None
        if mode == "train" and self.depth is not None and self.depth.semantics:
            self.point_classes = PointClasses(self.root, version, self.index.lidar_token, self.label_space)
        if mode != "predict":
            require_label_files(self.labels, self.root, [self.index.name(i) for i in range(len(self))])

    def __len__(self) -> int:
        return len(self.index)

    @property
    def label_space(self) -> LabelSpace:
        return self.labels.space

    @property
    def grid(self) -> VoxelGrid:
        return self.labels.grid

    @property
    def synthetic(self) -> bool:
        """True for a generated world, which carries a marker in its root."""
        return (self.root / "SYNTHETIC.json").is_file()

    @property
    def tokens(self) -> np.ndarray:
        """[F] sample tokens."""
        return self.index.token

    @property
    def scene_names(self) -> np.ndarray:
        """[F] scene of every key frame."""
        return self.index.scene_names[self.index.scene]

    @property
    def sequences(self) -> tuple[np.ndarray, ...]:
        """Positions of the key frames of each stream, by time."""
        return self.streams.members

    @property
    def frame(self) -> VolumeFrame:
        """Name of the frame in which the cameras are given."""
        if self.labels.frame == "lidar":
            return "lidar"
        return "ego_lidar_time" if self.key_frame == "lidar_ego" else "ego_cam_front_time"

    def describe(self, index: int) -> str:
        """A key frame in words, for messages: token, scene and the file of its front camera."""
        scene = self.index.scene_names[self.index.scene[index]]
        file = self.root / str(self.index.image_file[index, FRONT])
        return f"token {self.index.token[index]}, {scene}, file {file}"

    def __getitem__(self, request: int | SampleRequest) -> Sample:
        """Load one key frame.

        Raises:
            DataError: a file of the key frame is missing or broken; names the sample and the file.
        """
        index, draw = request if isinstance(request, tuple) else (int(request), 0)
        if not 0 <= index < len(self):
            raise IndexError(f"key frame {index} of a data set with {len(self)}")
        try:
            return self._load(index, draw)
        except DataError as error:
            raise DataError(f"{error}\n  sample:   {self.describe(index)}") from error

    def _load(self, index: int, draw: int) -> Sample:
        table, training = self.index, self.mode == "train"
        rng = generator(self.seed, Stream.IMAGE, index, draw) if training else None
        parameters = [self.image.parameters((int(w), int(h)), rng) for w, h in table.image_size[index]]
        grid_from_ego = np.eye(4)
        if training and self.scene is not None:
            grid_from_ego = self.scene.draw(generator(self.seed, Stream.SCENE, index, draw))
        crop_from_pixel = np.stack([self.image.matrix(p) for p in parameters])
        sample = Sample(
            images=self._images(index, parameters),
            ego_from_cam=self.volume_from_cam(index).astype(np.float32),
            pixel_from_cam=table.intrinsics[index].astype(np.float32),
            crop_from_pixel=crop_from_pixel.astype(np.float32),
            grid_from_ego=grid_from_ego.astype(np.float32),
            sequence_id=int(self.streams.sequence[index]),
            starts_sequence=bool(self.streams.starts[index]),
            prev_from_ego=self.prev_from_ego(index).astype(np.float32),
            time=float(table.timestamp[index]) * 1e-6,
            token=str(table.token[index]),
            frame=self.frame,
        )
        if self.load_adjacent:
            sample.adjacent_images = self._images(int(table.previous[index]), parameters)
            sample.adjacent_from_cam = self.adjacent_from_cam(index).astype(np.float32)
        if self.mode != "predict":
            self._add_labels(sample, index, grid_from_ego)
        if self.depth is not None and (training or self.depth.as_input):
            self._add_depth(sample, index, crop_from_pixel)
        return sample

    def _images(self, index: int, parameters: list[ImageParameters]) -> np.ndarray:
        files = self.index.image_file[index]
        loaded = [self.image.load(self.root / str(file), p) for file, p in zip(files, parameters)]
        return np.stack([np.ascontiguousarray(image.transpose(2, 0, 1)) for image in loaded])

    def _add_labels(self, sample: Sample, index: int, grid_from_ego: np.ndarray) -> None:
        training = self.mode == "train"
        labels: LabelVolume = self.labels.load(self.root, self.index.name(index), training)
        if training and self.scene is not None:
            labels = transform_labels(labels, self.grid, grid_from_ego)
        sample.occupancy, sample.flow = labels.occupancy, labels.flow
        sample.mask_camera, sample.mask_lidar = labels.mask_camera, labels.mask_lidar
        if not training and self.labels.frame == "ego":
            sample.ray_origins = self.index.ray_origins(index)

    def _add_depth(self, sample: Sample, index: int, crop_from_pixel: np.ndarray) -> None:
        table, depth = self.index, self.depth
        assert depth is not None
        points = read_points(self.root / str(table.lidar_file[index]))
        classes = None
        if self.point_classes is not None:
            classes = self.point_classes.load(index, len(points))
        cam_from_lidar = inverse(self._global_from_cam(index)) @ self._global_from_lidar(index)
        in_cameras = apply(cam_from_lidar, points[:, :3].astype(np.float64))
        maps = [
            depth(in_cameras[n], classes, table.intrinsics[index, n], crop_from_pixel[n], self.image.size)
            for n in range(len(CAMERAS))
        ]
        metres = np.stack([m[0] for m in maps])
        if self.mode == "train":
            sample.depth = metres
            sample.image_semantics = None if classes is None else np.stack([m[1] for m in maps])
        sample.lidar_depth = metres if depth.as_input else None

    def _global_from_cam(self, index: int) -> Poses:
        return self.index.camera_global_from_ego[index] @ self.index.camera_ego_from_cam[index]

    def _global_from_lidar(self, index: int) -> Poses:
        return self.index.global_from_ego[index] @ self.index.ego_from_lidar[index]

    def volume_from_cam(self, index: int) -> Poses:
        """[N, 4, 4] float64: cameras at the time of their images in the frame named by `frame`, metres."""
        if self.labels.frame == "lidar":
            global_from_volume = self._global_from_lidar(index)
        elif self.key_frame == "lidar_ego":
            global_from_volume = self.index.global_from_ego[index]
        else:
            global_from_volume = self.index.camera_global_from_ego[index, FRONT]
        return inverse(global_from_volume) @ self._global_from_cam(index)

    def prev_from_ego(self, index: int) -> Poses:
        """[4, 4] float64 motion since the previous key frame of the sequence, metres; identity at a start.

        Between the lidar time stamps, also where cameras are relative to CAM_FRONT's ego frame (published).
        """
        if self.streams.starts[index]:
            return np.eye(4)
        pose = (
            self._global_from_lidar if self.labels.motion_frame == "lidar" else self.index.global_from_ego.__getitem__
        )
        return inverse(pose(index - 1)) @ pose(index)

    def adjacent_from_cam(self, index: int) -> Poses:
        """[N, 4, 4] float64: cameras of this key frame in those of the previous one of the scene, metres."""
        previous = int(self.index.previous[index])
        if previous == index:
            return np.broadcast_to(np.eye(4), (len(CAMERAS), 4, 4))
        return inverse(self._global_from_cam(previous)) @ self._global_from_cam(index)
