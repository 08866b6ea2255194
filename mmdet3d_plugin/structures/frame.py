"""One key frame as a model receives it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from .camera import CameraRig
from .record import TensorRecord

VolumeFrame = Literal["ego_lidar_time", "ego_cam_front_time", "lidar"]


@dataclass
class FrameMeta(TensorRecord):
    """Who and when a frame is, and how it moved since its predecessor in the stream.

    Attributes:
        sequence_id: [B] int64, equal for the frames of one streamed sequence.
        starts_sequence: [B] bool, True for the first frame of a sequence: every memory of that lane is
            cleared.
        prev_from_ego: [B, 4, 4] float32, volume frame of this key frame to that of the previous key frame of
            the same sequence, before scene augmentation; identity where a sequence starts. Metres.
        time: [B] float64, seconds.
        token: sample token of every batch element.
        frame: name of the frame the volume lives in.
    """

    sequence_id: Tensor
    starts_sequence: Tensor
    prev_from_ego: Tensor
    time: Tensor
    token: tuple[str, ...]
    frame: VolumeFrame = "ego_lidar_time"


@dataclass
class AdjacentImages(TensorRecord):
    """Images of the previous key frame of the scene, for stereo depth.

    Attributes:
        images: [B, N, 3, H, W], same cameras, augmentation and dtype as `Frame.images`. The first frame of a
            scene is its own predecessor.
        adjacent_from_cam: [B, N, 4, 4] float32, current camera frame to the camera frame of the adjacent
            image, metres (composed in float64 through the global poses of both images).
    """

    images: Tensor
    adjacent_from_cam: Tensor


@dataclass
class PastImages(TensorRecord):
    """T images of each camera before the current one, for methods that look at several at once. Newest first.

    Attributes:
        images: [B, T, N, 3, H, W] uint8 RGB as loaded, same cameras and same augmentation as `Frame.images`. A key
            frame without a past repeats its own images, with their poses and times.
        ego_from_cam: [B, T, N, 4, 4] float32, camera frame at the time of the image to the volume frame of the current
            `CameraRig.ego_from_cam`, metres (composed in float64 through the global poses). What stands still in the
            world stands still in it.
        pixel_from_cam: [B, T, N, 3, 3] float32 intrinsics, pixels of the original image.
        time: [B, T, N] float64 seconds.
        current_time: [B, N] float64 seconds of the current images.
    """

    images: Tensor
    ego_from_cam: Tensor
    pixel_from_cam: Tensor
    time: Tensor
    current_time: Tensor

    def rig(self, current: CameraRig) -> CameraRig:
        """The T N past cameras, by time and then by camera, over the augmented volume frame of the current ones.

        Args:
            current: rig of the same frame, with N cameras.
        """
        crops = current.crop_from_pixel[:, None].expand_as(self.pixel_from_cam)
        return CameraRig(
            self.ego_from_cam.flatten(1, 2),
            self.pixel_from_cam.flatten(1, 2),
            crops.flatten(1, 2),
            current.grid_from_ego,
        )


@dataclass
class Frame(TensorRecord):
    """Images, calibration and identity of a batch of key frames.

    Attributes:
        images: [B, N, 3, H, W]; uint8 RGB as loaded, float32 after the model's preprocessor has normalised
            it.
        rig: calibration.
        meta: identity and motion.
        adjacent: previous images, where the method uses stereo depth.
        lidar_depth: [B, N, H, W] float32, z-depth of lidar returns in metres, 0 where there is none; only for
            methods that take lidar depth as an input.
        past: images of the seconds before, where the method has a history of images.
    """

    images: Tensor
    rig: CameraRig
    meta: FrameMeta
    adjacent: AdjacentImages | None = None
    lidar_depth: Tensor | None = None
    past: PastImages | None = None

    @property
    def batch_size(self) -> int:
        return self.images.shape[0]
