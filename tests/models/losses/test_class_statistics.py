"""Class weights against the table of spec/07 section 7.1, which was measured on the published models."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from mmdet3d_plugin.errors import ConfigError
from mmdet3d_plugin.models.losses.class_statistics import class_weights, sampling_weights, voxel_counts
from mmdet3d_plugin.structures import OCC3D_NUSCENES, OCC3D_WAYMO, OPENOCC, ClassChannels, LabelSpace

CLASS_WEIGHTS = (
    0, 1, 0.9517, 1.1528, 0.9367, 0.8265, 1.0197, 1.1324, 0.9459, 1.0638, 0.9369, 0.8823, 0.7247, 0.9011,
    0.7749, 0.7672, 0.7445, 0.7408, 0.6441,
)  # fmt: skip
SAMPLING_WEIGHTS = (
    0, 6.691, 5.62, 10.557, 5.304, 3.25, 7.15, 10.003, 5.496, 8.225, 5.308, 4.229, 1.811, 4.587, 2.463, 2.356,
    2.056, 2.008, 1,
)  # fmt: skip
WAYMO_CLASS_WEIGHTS = (
    0, 1, 0.9277, 1.0547, 1.1537, 1.2982, 1.2304, 1.0366, 1.2566, 1.3311, 1.5046, 0.8766, 0.8713, 1.0213,
    0.8722, 0.8979, 0.7365,
)  # fmt: skip


@pytest.mark.parametrize(("space", "published"), [(OCC3D_NUSCENES, CLASS_WEIGHTS), (OCC3D_WAYMO, WAYMO_CLASS_WEIGHTS)])
def test_published_class_weights(space: LabelSpace, published: tuple[float, ...]) -> None:
    weights = class_weights(ClassChannels(space, void=True))
    torch.testing.assert_close(weights, torch.tensor(published), atol=1.5e-4, rtol=0)


def test_published_sampling_weights() -> None:
    weights = sampling_weights(ClassChannels(OCC3D_NUSCENES, void=True))
    torch.testing.assert_close(weights, torch.tensor(SAMPLING_WEIGHTS), atol=5e-4, rtol=0)


def test_without_void_the_first_channel_is_the_first_class() -> None:
    channels = ClassChannels(OCC3D_NUSCENES)
    torch.testing.assert_close(class_weights(channels), class_weights(ClassChannels(OCC3D_NUSCENES, void=True))[1:])


def test_counts_follow_the_names_of_the_label_space() -> None:
    assert voxel_counts(OPENOCC)[OPENOCC.index("car")] == voxel_counts(OCC3D_NUSCENES)[4]
    assert class_weights(ClassChannels(OPENOCC))[0] == 1.0


def test_unknown_classes_are_refused() -> None:
    space = dataclasses.replace(OCC3D_NUSCENES, classes=("unicorn", *OCC3D_NUSCENES.classes[1:]))
    with pytest.raises(ConfigError, match="unicorn"):
        voxel_counts(space)
