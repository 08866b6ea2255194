"""Image augmentation: resize, crop, flip, rotate as one affine map per camera (spec/data/pipelines 1)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from PIL import Image

from ...errors import ConfigError
from ...registry import TRANSFORMS
from ..files import read_jpeg, read_jpeg_pillow
from ..image_cache import ImageCache
from .bicubic import resize_bicubic

REFERENCE_WIDTH = 1600  # the published resize jitter is a scale of images that are 1600 pixels wide
Resampling = Literal["warp", "pil"]


@dataclass(frozen=True)
class ImageParameters:
    """What happens to one image.

    Attributes:
        source: (width, height) of the original image.
        scale: resize factor as drawn.
        resized: (width, height) after the resize, whole pixels.
        crop: (left, top) of the crop in the resized image; pixels outside of it are black.
        flip: mirror left and right.
        angle: rotation about the centre of the crop, radians, counter-clockwise as seen.
    """

    source: tuple[int, int]
    scale: float
    resized: tuple[int, int]
    crop: tuple[int, int]
    flip: bool = False
    angle: float = 0.0


def translation(u: float, v: float) -> np.ndarray:
    """[3, 3] shift of homogeneous pixels."""
    return np.array([[1.0, 0.0, u], [0.0, 1.0, v], [0.0, 0.0, 1.0]])


def crop_from_pixel(parameters: ImageParameters, size: tuple[int, int], pixel_center: bool = True) -> np.ndarray:
    """Matrix of an image augmentation.

    Resize, crop, flip and rotation act on positions measured from the *corner* of the image, where pixel i
    covers [i, i + 1). Cameras and projections use integers for pixel centres, so the exact matrix is that map
    conjugated by the half-pixel shift, with the true ratio of the whole-pixel sizes. The published matrices
    leave both out and are off by 0.25 to 0.75 pixels (spec/data/defects F14).

    Args:
        parameters: what is done to the image.
        size: (height, width) of the network input.
        pixel_center: True for the exact matrix, False for the published one.

    Returns:
        [3, 3] float64, homogeneous pixels of the original image to those of the network input.
    """
    height, width = size
    ratio = np.divide(parameters.resized, parameters.source) if pixel_center else np.full(2, parameters.scale)
    matrix = translation(-parameters.crop[0], -parameters.crop[1]) @ np.diag([*ratio, 1.0])
    if parameters.flip:
        matrix = translation(width, 0) @ np.diag([-1.0, 1.0, 1.0]) @ matrix
    if parameters.angle:
        c, s = np.cos(parameters.angle), np.sin(parameters.angle)
        rotation = np.array([[c, s, 0.0], [-s, c, 0.0], [0.0, 0.0, 1.0]])
        centre = translation(width / 2, height / 2)
        matrix = centre @ rotation @ translation(-width / 2, -height / 2) @ matrix
    return translation(-0.5, -0.5) @ matrix @ translation(0.5, 0.5) if pixel_center else matrix


@TRANSFORMS.register_module()
class ImagePipeline:
    """From JPEG files to network input: uint8 RGB, normalised only on the device.

    Args:
        size: (height, width) of the network input.
        resize: range of the jitter added to the resize factor `width / source width` in training, as a scale
            of images 1600 pixels wide (published: -0.06 to 0.11 for an input 704 wide); other sources get the
            same relative jitter.
        flip: probability of mirroring an image in training.
        rotation: largest rotation in training, radians.
        resampling: "warp" resamples once, bilinearly, from a JPEG decoded at the nearest larger power-of-two
            size; "pil" resizes (bicubic), crops, flips and rotates (nearest) in turn, every bit as Pillow and
            the published pipeline do it.
        pixel_center: exact matrices; False gives the published ones without the half-pixel terms.
        per_camera: each camera of a sample gets an augmentation of its own; False gives all the same one, as SparseOcc
            was trained.

    Raises:
        ConfigError: empty size or a probability outside of [0, 1].
    """

    def __init__(
        self,
        size: tuple[int, int],
        resize: tuple[float, float] = (0.0, 0.0),
        flip: float = 0.0,
        rotation: float = 0.0,
        resampling: Resampling = "warp",
        pixel_center: bool = True,
        per_camera: bool = True,
    ):
        if min(size) < 1 or not 0 <= flip <= 1 or resize[0] > resize[1] or resampling not in ("warp", "pil"):
            raise ConfigError(
                "ImagePipeline cannot use its arguments",
                found=f"size={size}, resize={resize}, flip={flip}, resampling={resampling!r}",
                expected="positive size, ordered resize range, 0 <= flip <= 1, resampling 'warp' or 'pil'",
            )
        self.size = (int(size[0]), int(size[1]))
        self.resize = tuple(resize)
        self.flip = flip
        self.rotation = rotation
        self.resampling = resampling
        self.pixel_center = pixel_center
        self.per_camera = per_camera

    def draw(self, sources: np.ndarray, rng: np.random.Generator | None = None) -> list[ImageParameters]:
        """Draw the augmentations of the images of a sample; see :meth:`parameters`.

        Args:
            sources: [N, 2] (width, height) of the original images.
            rng: random numbers of this sample.
        """
        result, state = [], None if rng is None else rng.bit_generator.state
        for width, height in sources:
            if rng is not None and not self.per_camera:
                rng.bit_generator.state = state
            result.append(self.parameters((int(width), int(height)), rng))
        return result

    def parameters(self, source: tuple[int, int], rng: np.random.Generator | None = None) -> ImageParameters:
        """Draw the augmentation of one image, or the centred one of evaluation when there is no generator.

        Args:
            source: (width, height) of the original image.
            rng: random numbers of this sample.
        """
        height, width = self.size
        scale = width / source[0]
        if rng is not None:
            scale += rng.uniform(*self.resize) * REFERENCE_WIDTH / source[0]
        resized = (int(source[0] * scale + 1e-9), int(source[1] * scale + 1e-9))
        spare, top = max(0, resized[0] - width), resized[1] - height  # the crop keeps the bottom of the image
        if rng is None:
            return ImageParameters(source, scale, resized, (spare // 2, top))
        return ImageParameters(
            source,
            scale,
            resized,
            crop=(int(rng.uniform(0, spare)), top),
            flip=bool(rng.random() < self.flip),
            angle=float(rng.uniform(-self.rotation, self.rotation)),
        )

    def matrix(self, parameters: ImageParameters) -> np.ndarray:
        """`crop_from_pixel` of this pipeline: [3, 3] float64."""
        return crop_from_pixel(parameters, self.size, self.pixel_center)

    def load(self, path: Path, parameters: ImageParameters, cache: ImageCache | None = None) -> np.ndarray:
        """Read and transform one image: [H, W, 3] uint8 RGB, black where the original has no pixel.

        Args:
            path: file.
            parameters: what is done to it.
            cache: images of earlier calls, of this pipeline only: decoded ones where every sample is augmented
                in its own way, else finished ones. The caller must not write to an image that a cache keeps.

        Raises:
            DataError: the file is missing, corrupt or of another size.
        """
        cache = ImageCache(0) if cache is None else cache
        reduction = self._reduction(parameters)
        if self.augments:
            decoded = cache.get((path, reduction), lambda: self._decode(path, parameters, reduction))
            return self._transform(decoded, parameters, reduction)
        return cache.get(
            (path, parameters),
            lambda: self._transform(self._decode(path, parameters, reduction), parameters, reduction),
        )

    @property
    def augments(self) -> bool:
        """Whether training draws anything: then two samples show one image differently."""
        return bool(self.resize != (0.0, 0.0) or self.flip or self.rotation)

    def _reduction(self, parameters: ImageParameters) -> int:
        """1, 2, 4 or 8: how much smaller an image is decoded."""
        reduction = 1
        while self.resampling == "warp" and reduction < 8 and parameters.scale * reduction * 2 <= 1:
            reduction *= 2
        return reduction

    def _decode(self, path: Path, parameters: ImageParameters, reduction: int) -> np.ndarray:
        if self.resampling == "pil":
            return read_jpeg_pillow(path, parameters.source)
        return read_jpeg(path, parameters.source, reduction)

    def _transform(self, image: np.ndarray, parameters: ImageParameters, reduction: int) -> np.ndarray:
        if self.resampling == "pil":
            return self._pillow(image, parameters)
        pixel_from_reduced = translation(-0.5, -0.5) @ np.diag([reduction, reduction, 1.0]) @ translation(0.5, 0.5)
        matrix = crop_from_pixel(parameters, self.size) @ pixel_from_reduced
        return cv2.warpAffine(image, matrix[:2], self.size[::-1], flags=cv2.INTER_LINEAR, borderValue=(0, 0, 0))

    def _pillow(self, image: np.ndarray, parameters: ImageParameters) -> np.ndarray:
        height, width = self.size
        left, top = parameters.crop
        image = resize_bicubic(image, parameters.resized, (left, top, left + width, top + height))
        if parameters.flip:
            image = image[:, ::-1]
        if parameters.angle == 0:
            return np.ascontiguousarray(image)
        turned = Image.fromarray(np.ascontiguousarray(image)).rotate(np.degrees(parameters.angle))
        return np.asarray(turned)
