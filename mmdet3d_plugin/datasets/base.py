"""What every data set has in common: from tables of a recording to samples (docs/data.md is the contract)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from ..errors import ConfigError, DataError
from ..evaluation.origins import scene_origins
from ..geometry.transforms import Poses, inverse
from ..registry import TRANSFORMS
from ..structures import LabelSpace, VolumeFrame, VoxelGrid
from .checks import require_label_files
from .image_cache import IMAGE_CACHE_BYTES, ImageCache
from .labels.base import KeyFrameName, LabelSet, LabelVolume, require_choice
from .missing import POLICIES, Faults, OnMissing
from .randomness import SampleRequest, Stream, generator
from .sample import Sample
from .sequences import Sequences, split_sequences
from .transforms import DepthMaps, ImageParameters, ImagePipeline, SceneAugmentation, transform_labels

Mode = Literal["train", "evaluate", "predict"]


class OccDataset(ABC):
    """Key frames with N cameras and occupancy labels, by scene and time.

    `dataset[index]` or `dataset[SampleRequest(index, draw)]` gives a :class:`Sample` that depends on nothing
    else: all randomness comes from a counter keyed by (seed, index, draw).

    A new data set is a subclass that says what a recording is: `open`, and the abstract members below it. Poses are
    float64, metres, and map column vectors; `global` is any frame in which a scene stands still.

    Args:
        root: folder of the data set; a relative path is looked up from the working directory, then from the
            project.
        split: "train", "val", ...
        labels: config of a :class:`LabelSet`, which also says on which grid.
        image: config of an :class:`ImagePipeline`.
        mode: "train" draws augmentations and masks the labels; "evaluate" does neither and adds visibility
            masks and ray origins; "predict" reads images and calibration only.
        scene: config of a :class:`SceneAugmentation`, None for no augmentation. Used in training.
        depth: config of :class:`DepthMaps`, None for no depth. Used in training, and in evaluation as an
            input.
        load_adjacent: also load the images of the previous key frame, for stereo depth.
        sequences_split: number of parts into which a scene is cut to train streams; None = every key frame is a
            sequence, for methods without history.
        on_missing: "error", "skip" or "mask", see :data:`OnMissing`; with "error", label files of the whole split
            must be there from the start.

    Attributes:
        seed: of all augmentations; the training loader sets that of the run.
        cameras: names in the order of the camera axis.
        front: number of the camera whose file names a key frame in messages.
        lidar_position: where evaluation rays start, metres in the volume frame; None without ray metrics.
        root: absolute folder of the data set.
        streams: the sequences of training.

    Raises:
        ConfigError: an unknown mode or split, another grid than that of the labels, or depth without lidar.
        DataError: the root, tables or label files of the split are missing.
    """

    cameras: tuple[str, ...]
    front: int = 0
    lidar_position: tuple[float, float, float] | None = None
    seed: int = 0

    def __init__(
        self,
        root: str,
        split: str,
        labels: dict,
        image: dict,
        mode: Mode = "train",
        scene: dict | None = None,
        depth: dict | None = None,
        load_adjacent: bool = False,
        sequences_split: int | None = 1,
        on_missing: OnMissing = "error",
    ):
        self.mode = require_choice(f"{type(self).__name__}.mode", mode, ("train", "evaluate", "predict"))
        self.labels: LabelSet = TRANSFORMS.build(labels)
        self.image: ImagePipeline = TRANSFORMS.build(image)
        self.scene: SceneAugmentation | None = TRANSFORMS.build(scene) if scene else None
        self.depth: DepthMaps | None = TRANSFORMS.build(depth) if depth else None
        self.load_adjacent = load_adjacent
        self.image_cache = ImageCache(IMAGE_CACHE_BYTES if load_adjacent else 0)
        self.on_missing = require_choice(f"{type(self).__name__}.on_missing", on_missing, POLICIES)
        self._require_lidar()
        self.root = self.open(root, split)
        self.streams = split_sequences(self.scene_names, sequences_split)
        self._scenes: Sequences = split_sequences(self.scene_names, 1)
        if mode != "predict" and on_missing == "error":
            require_label_files(self.labels, self.root, [self.label_name(i) for i in range(len(self))])

    # ------------------------------------------------------------------------------------ what a subclass says

    @abstractmethod
    def open(self, root: str, split: str) -> Path:
        """Read the tables of a split, and nothing of its images; returns the absolute folder of the data set.

        Raises:
            ConfigError: there is no such split.
            DataError: the folder or a table is missing or broken.
        """

    @property
    @abstractmethod
    def tokens(self) -> np.ndarray:
        """[F] names of the key frames, unique in the data set."""

    @property
    @abstractmethod
    def scene_names(self) -> np.ndarray:
        """[F] scene of every key frame; those of a scene follow each other, by time."""

    @property
    @abstractmethod
    def timestamps(self) -> np.ndarray:
        """[F] int64 microseconds."""

    @abstractmethod
    def image_files(self, index: int) -> Sequence[Path]:
        """The N image files of a key frame, JPEG or PNG."""

    @abstractmethod
    def image_sizes(self, index: int) -> np.ndarray:
        """[N, 2] (width, height) of the image files, pixels; cameras may differ."""

    @abstractmethod
    def intrinsics(self, index: int) -> np.ndarray:
        """[N, 3, 3] float64 pixel_from_cam of the image files; integer pixels are pixel centres, no distortion."""

    @abstractmethod
    def global_from_cam(self, index: int) -> Poses:
        """[N, 4, 4] float64 poses of the cameras (x right, y down, z forward) at the times of their images."""

    @abstractmethod
    def global_from_volume(self, index: int) -> Poses:
        """[4, 4] float64 pose of the frame of the labels (x forward, y left, z up) at the time of the labels."""

    def label_name(self, index: int) -> KeyFrameName:
        """What the label files of a key frame are named after."""
        scene = str(self.scene_names[index])
        return KeyFrameName(scene, scene, str(self.tokens[index]), "", "")

    def points(self, index: int) -> np.ndarray:
        """[P, >= 3] lidar returns (x, y, z, ...) of a key frame in the frame of `global_from_lidar`, metres.

        Raises:
            ConfigError: the data set has no lidar.
        """
        raise ConfigError(f"{type(self).__name__} has no lidar points", fix="define `points`, or set depth=None")

    def global_from_lidar(self, index: int) -> Poses:
        """[4, 4] float64 pose of the frame of the points; that of the volume unless a subclass says otherwise."""
        return self.global_from_volume(index)

    def classes_of_points(self, index: int, count: int) -> np.ndarray | None:
        """[P] uint8 label ids of the `count` points, 255 = none; None where the data set has no such labels."""
        return None

    # -------------------------------------------------------------------------------- what follows from these

    def __len__(self) -> int:
        return len(self.tokens)

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
    def sequences(self) -> tuple[np.ndarray, ...]:
        """Positions of the key frames of each stream, by time."""
        return self.streams.members

    @property
    def frame(self) -> VolumeFrame:
        """Name of the frame in which the cameras are given."""
        return "lidar" if self.labels.frame == "lidar" else "ego_lidar_time"

    def describe(self, index: int) -> str:
        """A key frame in words, for messages: token, scene and the file of its front camera."""
        file = self.image_files(index)[self.front]
        return f"token {self.tokens[index]}, {self.scene_names[index]}, file {file}"

    def volume_from_cam(self, index: int) -> Poses:
        """[N, 4, 4] float64: cameras at the time of their images in the frame named by `frame`, metres."""
        return inverse(self.global_from_volume(index)) @ self.global_from_cam(index)

    def prev_from_ego(self, index: int) -> Poses:
        """[4, 4] float64 motion since the previous key frame of the sequence, metres; identity at a start."""
        if self.streams.starts[index]:
            return np.eye(4)
        return inverse(self.global_from_volume(index - 1)) @ self.global_from_volume(index)

    def adjacent_from_cam(self, index: int) -> Poses:
        """[N, 4, 4] float64: cameras of this key frame in those of the previous one of the scene, metres."""
        previous = self.previous(index)
        if previous == index:
            return np.broadcast_to(np.eye(4), (len(self.cameras), 4, 4))
        return inverse(self.global_from_cam(previous)) @ self.global_from_cam(index)

    def previous(self, index: int) -> int:
        """The previous key frame of the scene; the first one is its own predecessor."""
        return index if self._scenes.starts[index] else index - 1

    def frames_of_scene(self, index: int) -> np.ndarray:
        """Positions of all key frames of the scene of a key frame, by time."""
        return self._scenes.members[self._scenes.sequence[index]]

    def ray_origins(self, index: int) -> np.ndarray | None:
        """[K, 3] float64 origins of evaluation rays, metres, volume frame, see `lidar_origins`; None without."""
        if self.lidar_position is None:
            return None
        frames = self.frames_of_scene(index)
        poses = np.stack([self.global_from_volume(int(i)) for i in frames])
        mounts = np.tile(np.eye(4), (len(frames), 1, 1))
        mounts[:, :3, 3] = self.lidar_position
        return scene_origins(poses, mounts)[index - int(frames[0])]

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

    def _require_lidar(self) -> None:
        if self.depth is None:
            return
        kind, lacks = type(self), None
        if kind.points is OccDataset.points:
            lacks = "lidar points, which depth maps are made of"
        elif self.depth.semantics and self.mode == "train" and kind.classes_of_points is OccDataset.classes_of_points:
            lacks = "classes of lidar points, which image semantics are made of"
        if lacks:
            raise ConfigError(
                f"{kind.__name__} has no {lacks}",
                found=f"depth=dict(semantics={self.depth.semantics}, ...)",
                fix="set depth=None or semantics=False and remove the losses that need them",
            )

    def _load(self, index: int, draw: int) -> Sample:
        training, intrinsics = self.mode == "train", self.intrinsics(index)
        rng = generator(self.seed, Stream.IMAGE, index, draw) if training else None
        parameters = self.image.draw(self.image_sizes(index), rng)
        grid_from_ego = np.eye(4)
        if training and self.scene is not None:
            grid_from_ego = self.scene.draw(generator(self.seed, Stream.SCENE, index, draw))
        crop_from_pixel = np.stack([self.image.matrix(p) for p in parameters])
        faults = Faults(self.on_missing)
        adjacent = None  # first, so that what it needs is still kept
        if self.load_adjacent:
            adjacent = self._images(self.image_files(self.previous(index)), parameters, faults)
        sample = Sample(
            images=self._images(self.image_files(index), parameters, faults),
            adjacent_images=adjacent,
            ego_from_cam=self.volume_from_cam(index).astype(np.float32),
            pixel_from_cam=intrinsics.astype(np.float32),
            crop_from_pixel=crop_from_pixel.astype(np.float32),
            grid_from_ego=grid_from_ego.astype(np.float32),
            sequence_id=int(self.streams.sequence[index]),
            starts_sequence=bool(self.streams.starts[index]),
            prev_from_ego=self.prev_from_ego(index).astype(np.float32),
            time=float(self.timestamps[index]) * 1e-6,
            token=str(self.tokens[index]),
            frame=self.frame,
        )
        if self.load_adjacent:
            sample.adjacent_from_cam = self.adjacent_from_cam(index).astype(np.float32)
        self._add_inputs(sample, index, draw, parameters, faults)
        if self.mode != "predict":
            self._add_labels(sample, index, grid_from_ego, faults)
        if self.depth is not None and (training or self.depth.as_input):
            self._add_depth(self.depth, sample, index, crop_from_pixel, faults)
        faults.note(sample)
        return sample

    def _add_inputs(  # noqa: B027
        self, sample: Sample, index: int, draw: int, parameters: list[ImageParameters], faults: Faults
    ) -> None:
        """What a subclass gives its models beyond the images; nothing here."""

    def _images(self, files: Sequence[Path], parameters: list[ImageParameters], faults: Faults) -> np.ndarray:
        images = np.empty((len(parameters), 3, *self.image.size), dtype=np.uint8)
        black = np.zeros((*self.image.size, 3), dtype=np.uint8)
        for image, file, p in zip(images, files, parameters):
            loaded = faults.attempt(partial(self.image.load, file, p, self.image_cache), lambda: black)
            image[:] = loaded.transpose(2, 0, 1)
        return images

    def _add_labels(self, sample: Sample, index: int, grid_from_ego: np.ndarray, faults: Faults) -> None:
        training = self.mode == "train"
        labels: LabelVolume = faults.attempt(
            lambda: self.labels.load(self.root, self.label_name(index), training),
            lambda: faults.no_labels(self.label_space, self.grid),
        )
        if training and self.scene is not None:
            labels = transform_labels(labels, self.grid, grid_from_ego)
        sample.occupancy, sample.flow = labels.occupancy, labels.flow
        sample.mask_camera, sample.mask_lidar = labels.mask_camera, labels.mask_lidar
        if not training and self.labels.frame == "ego":
            sample.ray_origins = self.ray_origins(index)

    def _add_depth(
        self, depth: DepthMaps, sample: Sample, index: int, crop_from_pixel: np.ndarray, faults: Faults
    ) -> None:
        training, intrinsics = self.mode == "train", self.intrinsics(index)

        def load() -> tuple[np.ndarray, np.ndarray | None]:
            points = self.points(index)
            return points, self.classes_of_points(index, len(points)) if training and depth.semantics else None

        nothing = np.zeros((0, 3), dtype=np.float32), np.zeros(0, dtype=np.uint8) if depth.semantics else None
        points, classes = faults.attempt(load, lambda: nothing)
        cam_from_lidar = inverse(self.global_from_cam(index)) @ self.global_from_lidar(index)
        maps = [
            depth.project(points, classes, cam_from_lidar[n], intrinsics[n], crop_from_pixel[n], self.image.size)
            for n in range(len(self.cameras))
        ]
        metres = np.stack([m[0] for m in maps])
        if training:
            sample.depth = metres
            sample.image_semantics = np.stack([m[1] for m in maps if m[1] is not None]) if classes is not None else None
        sample.lidar_depth = metres if depth.as_input else None
