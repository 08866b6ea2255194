"""Camera-aware depth estimation (BEVDepth, BEVStereo, ALOcc; spec/02)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from ...errors import ConfigError
from ...registry import MODELS
from ...structures import Frame, Memory, TensorRecord
from ..layers.atrous_pyramid import AtrousPyramid
from ..layers.checkpointing import run_checkpointed
from ..layers.depth_bins import DepthBins
from ..layers.residual import BasicBlock
from ..protocols import DepthGuidance, ImageFeatures
from .camera_gate import CAMERA_VECTOR_LENGTH, CameraGate, camera_vector
from .inter_object_transfer import TransferredMass


@dataclass
class DepthEstimate(TensorRecord):
    """What a depth network says about every feature pixel.

    Attributes:
        depth: [B, N, D, h, w] distribution over depth bins.
        geometry: [B, N, D, h, w] weights with which the pixel is lifted to each bin.
        context: [B, N, C, h, w] features to lift.
        inter: mass that pixels pass on to image positions around them, lifted besides `geometry`; None where
            the method passes none.
    """

    depth: Tensor
    geometry: Tensor
    context: Tensor
    inter: TransferredMass | None = None


class DepthBranch(nn.Module):
    """Three residual blocks, a pyramid of dilated convolutions, and a classifier over depth bins.

    Args:
        in_channels: channels of the features.
        mid_channels: width, and channels of the shortcut around the first block.
        pyramid_channels: channels of every branch of the pyramid.
        num_bins: number of depth bins D.
    """

    def __init__(self, in_channels: int, mid_channels: int, pyramid_channels: int, num_bins: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(BasicBlock(in_channels if i == 0 else mid_channels, mid_channels) for i in range(3))
        self.pyramid = AtrousPyramid(mid_channels, pyramid_channels)
        self.output = nn.Conv2d(mid_channels, num_bins, 1)

    def forward(self, features: Tensor, shortcut: Tensor) -> tuple[Tensor, Tensor]:
        """Map features [M, C, h, w] and shortcut [M, C_mid, h, w] to depth.

        Returns:
            logits [M, D, h, w], and the output of the pyramid [M, C_mid, h, w] that they are made from.
        """
        x = self.blocks[0](features, shortcut)
        for block in self.blocks[1:]:
            x = block(x)
        x = self.pyramid(x)
        return self.output(x), x


@MODELS.register_module()
class CameraAwareDepthNet(nn.Module):
    """Depth distribution, lifting weights and context features from image features and calibration.

    Args:
        depth_bins: (start, stop, step) of the depth bins, metres.
        in_channels: channels of the image features.
        mid_channels: width of the network.
        context_channels: channels of the features that are lifted.
        pyramid_channels: channels of every branch of the dilated pyramid.
        stereo: config of a cost volume over the adjacent images; None = depth from one image.
        transfer: config of an occlusion-aware transfer that turns the depth distribution into lifting
            weights; None = pixels are lifted with the depth distribution.
        inter: config of a transfer of mass to other image positions; None = pixels stay where they are.
        geometry_fusion: config of a fusion of the lifting weights with those of past frames; None = no memory.
        lidar_depth: lift pixels with a lidar return at its depth, in training and afterwards; the frames must
            have `lidar_depth`.
        activation_checkpointing: recompute the branches in the backward pass, not keeping activations.
    """

    def __init__(
        self,
        depth_bins: tuple[float, float, float],
        in_channels: int,
        mid_channels: int,
        context_channels: int,
        pyramid_channels: int,
        stereo: dict | None = None,
        transfer: dict | None = None,
        inter: dict | None = None,
        geometry_fusion: dict | None = None,
        lidar_depth: bool = False,
        activation_checkpointing: bool = False,
    ) -> None:
        super().__init__()
        self.depth_bins = DepthBins.from_config(depth_bins)
        self.activation_checkpointing = activation_checkpointing
        num_bins = self.depth_bins.num
        self.reduce = nn.Sequential(
            nn.Conv2d(in_channels, mid_channels, 3, padding=1),
            nn.BatchNorm2d(mid_channels),
            nn.ReLU(inplace=True),
        )
        self.camera_norm = nn.BatchNorm1d(CAMERA_VECTOR_LENGTH)
        self.depth_gate = CameraGate(mid_channels)
        self.context_gate = CameraGate(mid_channels)
        self.context_output = nn.Conv2d(mid_channels, context_channels, 1)
        branch_channels = mid_channels
        self.cost_volume = self.cost_encoder = None
        self.shortcut: nn.Module = nn.Identity()
        if stereo is not None:
            self.cost_volume = MODELS.build(dict(stereo, depth_bins=depth_bins))
            self.cost_encoder = nn.Sequential(*_halving(num_bins), *_halving(num_bins))
            branch_channels += num_bins
            self.shortcut = nn.Conv2d(branch_channels, mid_channels, 1)
        self.depth_branch = DepthBranch(branch_channels, mid_channels, pyramid_channels, num_bins)
        self.transfer = None
        if transfer is not None:
            self.transfer = MODELS.build(dict(transfer, in_channels=branch_channels, mid_channels=mid_channels))
        self.inter = MODELS.build(dict(inter, in_channels=mid_channels)) if inter is not None else None
        self.geometry_fusion = None
        if geometry_fusion is not None:
            self.geometry_fusion = MODELS.build(dict(geometry_fusion, depth_bins=depth_bins, in_channels=mid_channels))
        self.lidar_depth = lidar_depth

    def forward(
        self,
        features: ImageFeatures,
        frame: Frame,
        memory: Memory | None = None,
        guidance: DepthGuidance | None = None,
    ) -> tuple[DepthEstimate, Memory | None]:
        """Estimate the depth of a frame.

        Args:
            features: `levels[-1]` [B, N, C, h, w] is lifted; with stereo, `levels[0]` and `adjacent` are
                matched.
            frame: calibration, the motion of the cameras since the adjacent images, and lidar depth where it
                is an input.
            memory: what the fusion of geometry remembers.
            guidance: lidar depth to mix into the lifted distribution while training; `depth` in the result is
                the unmixed one.

        Returns:
            the estimate, and the memory for the next frame (None without fusion of geometry).

        Raises:
            ConfigError: the frame lacks the adjacent images or the lidar depth that the network takes.
        """
        level = features.levels[-1]
        batch = level.shape[:2]
        x = self._run(self.reduce, level.flatten(0, 1))
        camera = self.camera_norm(camera_vector(frame.rig).flatten(0, 1))
        context = self.context_output(self.context_gate(x, camera)).unflatten(0, batch)
        gated = x = self.depth_gate(x, camera)
        if self.cost_volume is not None:
            x = torch.cat((x, self.cost_encoder(self._match(features, frame))), dim=1)
        shortcut = self.shortcut(x)
        logits, pyramid = self._run(self.depth_branch, x, shortcut)
        depth = logits.float().softmax(dim=1).unflatten(0, batch)
        lidar = self._lidar_bins(frame, level.shape[-1])
        # With memory, lidar depth enters where past and present are mixed (spec/04 section 4.6).
        geometry = self._known(depth, lidar if self.geometry_fusion is None else None, guidance)
        if self.transfer is not None:
            geometry = self._run(self.transfer, x, shortcut, geometry.flatten(0, 1)).unflatten(0, batch)
        if self.geometry_fusion is not None:
            geometry, memory = self.geometry_fusion(pyramid, geometry, frame, memory, lidar)
        inter = self.inter(gated, geometry) if self.inter is not None else None
        return DepthEstimate(depth, geometry, context, inter), memory

    def _known(self, depth: Tensor, lidar: Tensor | None, guidance: DepthGuidance | None) -> Tensor:
        """The distribution [B, N, D, h, w] with what lidar says about it."""
        if guidance is not None:
            depth = _mix(depth, guidance, self.depth_bins)
        return depth if lidar is None else replace_by_lidar(depth, lidar)

    def _lidar_bins(self, frame: Frame, width: int) -> Tensor | None:
        """Bin of the closest lidar return of every feature pixel, [B, N, h, w] int64, -1 = none."""
        if not self.lidar_depth:
            return None
        if frame.lidar_depth is None:
            raise ConfigError(
                "the depth network takes lidar depth as an input",
                found="a frame without lidar depth",
                fix="set `depth=dict(as_input=True)` in the data set of this loader, or `lidar_depth=False` in the "
                "depth network",
            )
        return self.depth_bins.targets(frame.lidar_depth, frame.lidar_depth.shape[-1] // width)

    def _run(self, module: nn.Module, *inputs: Tensor) -> Any:
        if self.activation_checkpointing:
            return run_checkpointed(module, module, *inputs)
        return module(*inputs)

    def _match(self, features: ImageFeatures, frame: Frame) -> Tensor:
        if features.adjacent is None or frame.adjacent is None:
            raise ConfigError(
                "stereo depth needs the images of the previous key frame",
                found="no adjacent images" if frame.adjacent is None else "no matching level of the encoder",
                fix="let the data set load adjacent images, and the backbone return a level more than the neck takes",
            )
        return self.cost_volume(
            features.levels[0],
            features.adjacent,
            frame.rig,
            frame.adjacent.adjacent_from_cam,
            frame.images.shape[-2:],
        )


def _halving(channels: int) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
    return nn.Conv2d(channels, channels, 3, stride=2, padding=1), nn.BatchNorm2d(channels)


def _mix(depth: Tensor, guidance: DepthGuidance, bins: DepthBins) -> Tensor:
    """Geometry denoising (spec/02): rate * one-hot lidar depth + (1 - rate) * depth where there is a lidar
    return.

    Args:
        depth: [B, N, D, h, w] predicted distribution.
        guidance: lidar depth [B, N, H, W] and rate.
        bins: the depth bins.

    Returns:
        [B, N, D, h, w].
    """
    index = bins.targets(guidance.depth, guidance.depth.shape[-1] // depth.shape[-1])
    rate = guidance.rate.to(depth).reshape(-1, 1, 1, 1, 1)
    return torch.lerp(depth, replace_by_lidar(depth, index), rate)


def replace_by_lidar(depth: Tensor, lidar: Tensor) -> Tensor:
    """The distribution of pixels without a lidar return; all mass in its bin where there is one (spec/02).

    Args:
        depth: [B, N, D, h, w] distribution over depth bins.
        lidar: [B, N, h, w] int64 bin of the lidar return, -1 = none.

    Returns:
        [B, N, D, h, w].
    """
    truth = one_hot(lidar.clamp(min=0), depth.shape[2]).movedim(-1, 2).to(depth)
    return torch.where((lidar >= 0)[:, :, None], truth, depth)
