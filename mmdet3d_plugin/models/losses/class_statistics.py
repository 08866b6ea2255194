"""How often each class occurs in the training labels, and the weights that follow (spec/07 section 7.1)."""

from __future__ import annotations

import torch
from torch import Tensor

from ...errors import ConfigError
from ...structures import ClassChannels, LabelSpace

# Voxels of each class in the Occ3D-nuScenes training labels.
_NUSCENES_VOXELS = {
    "others": 944004,
    "barrier": 1897170,
    "bicycle": 152386,
    "bus": 2391677,
    "car": 16957802,
    "construction_vehicle": 724139,
    "motorcycle": 189027,
    "pedestrian": 2074468,
    "traffic_cone": 413451,
    "trailer": 2384460,
    "truck": 5916653,
    "driveable_surface": 175883646,
    "other_flat": 4275424,
    "sidewalk": 51393615,
    "terrain": 61411620,
    "manmade": 105975596,
    "vegetation": 116424404,
    "free": 1892500630,
}
_RARITY_POWER = 0.25


def voxel_counts(space: LabelSpace) -> Tensor:
    """Voxels of each class of a label space in the training labels, [num_classes] float64.

    Raises:
        ConfigError: the label space has a class whose frequency is not known.
    """
    unknown = [name for name in space.classes if name not in _NUSCENES_VOXELS]
    if unknown:
        raise ConfigError(
            f"no voxel counts are known for {', '.join(unknown)} of {space.name}",
            fix="add the counts to mmdet3d_plugin/models/losses/class_statistics.py",
        )
    return torch.tensor([_NUSCENES_VOXELS[name] for name in space.classes], dtype=torch.float64)


def _per_channel(values: Tensor, channels: ClassChannels) -> Tensor:
    void = values.new_zeros(int(channels.void))
    return torch.cat((void, values)).float()


def class_weights(channels: ClassChannels) -> Tensor:
    """Weight of each class in a loss, [K] float32: (1 / ln(f + 1e-3)) relative to that of the first class.

    f is the number of voxels of the class; the void channel weighs 0.
    """
    inverse = 1.0 / torch.log(voxel_counts(channels.space) + 1e-3)
    return _per_channel(inverse / inverse[0], channels)


def sampling_weights(channels: ClassChannels) -> Tensor:
    """Weight of a voxel of each class when points are drawn, [K] float32: (f_max / f)^0.25; void is 0."""
    counts = voxel_counts(channels.space)
    return _per_channel((counts.max() / counts) ** _RARITY_POWER, channels)
