"""nuScenes key frames with images of the seconds before them."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import DataError
from ..geometry.transforms import Poses, inverse
from ..registry import DATASETS, TRANSFORMS
from .base import Mode
from .image_cache import IMAGE_CACHE_BYTES, ImageCache
from .info_index import SUFFIX as INFO_SUFFIX
from .missing import Faults, OnMissing
from .nuscenes import NuScenesOccDataset
from .randomness import Stream, generator
from .sample import Sample
from .sweep_index import SweepIndex, load_info_sweeps, load_sweeps
from .transforms import ImageHistory, ImageParameters

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class PastFrame:
    """One image of every camera: of a sweep, or of a key frame.

    Attributes:
        complete: every camera has its image.
        files: N files relative to the root.
        time: [N] int64 microseconds.
        global_from_cam: [N, 4, 4] float64 poses at these times, metres.
        intrinsics: [N, 3, 3] float64 pixels.
    """

    complete: bool
    files: tuple[str, ...]
    time: np.ndarray
    global_from_cam: Poses
    intrinsics: np.ndarray


@DATASETS.register_module()
class NuScenesHistoryDataset(NuScenesOccDataset):
    """Key frames of a split with past images, in the fields `past_*` and `image_time` of every sample.

    The past of a key frame, newest first, is: the sweeps since the key frame before, that key frame, the sweeps before
    it, ... up to the first key frame of the scene. `history` chooses among them. All images of a camera in one sample
    are augmented alike, and each keeps the pose and the calibration of its own time.

    Sweeps come from where the key frames come from: the tables, or an info pickle that has them,
    "nuscenes_infos_val_sweep.pkl" (:func:`load_info_sweeps`). Both give the same samples.

    Args:
        root, version, split, labels, image, mode, scene, depth, load_adjacent, sequences_split, on_missing: see
            :class:`NuScenesOccDataset`. Cameras are relative to the frame of the labels.
        history: config of an :class:`ImageHistory`.

    Raises:
        ConfigError: an unknown mode, split or grid.
        DataError: the root, version, tables or label files of the split are missing, or a scene has no camera sweeps.
    """

    def __init__(
        self,
        root: str,
        version: str,
        split: str,
        labels: dict,
        image: dict,
        history: dict,
        mode: Mode = "train",
        scene: dict | None = None,
        depth: dict | None = None,
        load_adjacent: bool = False,
        sequences_split: int | None = 1,
        on_missing: OnMissing = "error",
    ):
        self.history: ImageHistory = TRANSFORMS.build(history)
        super().__init__(
            root,
            version,
            split,
            labels,
            image,
            mode,
            scene,
            depth,
            load_adjacent,
            "lidar_ego",
            sequences_split,
            on_missing,
        )
        if not self.image.augments:
            self.image_cache = ImageCache(IMAGE_CACHE_BYTES)  # in evaluation key frames come back in later samples

    def open(self, root: str, split: str) -> Path:
        """Read the tables and the index of sweeps; see :class:`OccDataset`."""
        folder = super().open(root, split)
        self.sweeps: SweepIndex
        if split.endswith(INFO_SUFFIX):
            self.sweeps = load_info_sweeps(folder, split)
        else:
            self.sweeps = load_sweeps(folder, self.version)
        self._sweep_rows = self.sweeps.rows_of(self.index.token)
        self._require_sweeps(folder, split)
        return folder

    def _require_sweeps(self, folder: Path, split: str) -> None:
        """Every scene of more than one key frame must have some."""
        counts = np.diff(self.sweeps.start)[self._sweep_rows]
        self._has_sweeps = bool(counts.any())
        scenes = len(self.index.scene_names)
        of_scene = np.bincount(self.index.scene, counts, scenes)
        lacking = np.flatnonzero((of_scene == 0) & (np.bincount(self.index.scene, minlength=scenes) > 1))
        if not len(lacking):
            return
        source = f"info pickle {split}" if split.endswith(INFO_SUFFIX) else f"{folder / self.version}/sample_data.json"
        found = f"{len(lacking)} of {scenes} scenes of the split without any"
        if self.history.empty == "repeat":
            _LOG.warning(
                "%s has no camera sweeps for %s; %s",
                source,
                found,
                "their past is made of key frames" if self._has_sweeps else "past images repeat the current ones",
            )
            return
        token = self.index.token[self.index.frames_of(int(lacking[0]))[1]]
        raise DataError(
            f"{source} has no camera sweeps, and the data set asks for {self.history.frames} past images",
            found=f"{found}, first {self.index.scene_names[lacking[0]]}, token {token}",
            expected="sweeps/ of nuScenes with its tables, or nuscenes_infos_{train,val}_sweep.pkl",
            fix="name a split of the tables, write the pickles with tools/create_data_sweeps.py, make a synthetic world"
            " with --sweeps 5, or repeat the images on purpose: history=dict(type='ImageHistory', empty='repeat')",
        )

    def past(self, index: int) -> list[PastFrame]:
        """What there was before a key frame in its scene, newest first, as far back as `history` reaches.

        Empty for the first key frame of a scene, and where the data set has no sweeps at all.
        """
        frames: list[PastFrame] = []
        while self._has_sweeps and len(frames) < self.history.reach and self.previous(index) != index:
            row = self._sweep_rows[index]
            frames.extend(map(self._sweep, range(self.sweeps.start[row], self.sweeps.start[row + 1])))
            index = self.previous(index)
            frames.append(self._key_frame(index))
        return frames[: self.history.reach]

    def _sweep(self, row: int) -> PastFrame:
        sweeps = self.sweeps
        return PastFrame(
            complete=bool(sweeps.present[row].all()),
            files=tuple(file.decode() for file in sweeps.file[row]),
            time=sweeps.time[row],
            global_from_cam=sweeps.global_from_cam[row],
            intrinsics=sweeps.intrinsics[sweeps.calibration[row]],
        )

    def _key_frame(self, index: int) -> PastFrame:
        return PastFrame(
            complete=True,
            files=tuple(map(str, self.index.image_file[index])),
            time=self.sweeps.key_time[self._sweep_rows[index]],
            global_from_cam=self.global_from_cam(index),
            intrinsics=self.intrinsics(index),
        )

    def _add_inputs(
        self, sample: Sample, index: int, draw: int, parameters: list[ImageParameters], faults: Faults
    ) -> None:
        past = self.past(index)
        rng = generator(self.seed, Stream.HISTORY, index, draw) if self.mode == "train" else None
        positions = self.history.choose(np.array([frame.complete for frame in past]), rng) if past else []
        chosen = [past[position] for position in positions] or [self._key_frame(index)] * self.history.frames
        images = np.empty((len(chosen), *sample.images.shape), dtype=np.uint8)
        for place, frame in enumerate(chosen):
            if not past:
                images[place] = sample.images
            elif place and positions[place] == positions[place - 1]:
                images[place] = images[place - 1]
            else:
                images[place] = self._images([self.root / file for file in frame.files], parameters, faults)
        volume_from_global = inverse(self.global_from_volume(index))
        poses = np.stack([volume_from_global @ frame.global_from_cam for frame in chosen])
        sample.past_images = images
        sample.past_ego_from_cam = poses.astype(np.float32)
        sample.past_pixel_from_cam = np.stack([frame.intrinsics for frame in chosen]).astype(np.float32)
        sample.past_time = np.stack([frame.time for frame in chosen]) * 1e-6
        sample.image_time = self._key_frame(index).time * 1e-6
