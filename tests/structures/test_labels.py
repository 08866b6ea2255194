"""Label spaces against the published tables, and the one shift between labels and channels."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmdet3d_plugin.errors import ConfigError
from mmdet3d_plugin.structures import (
    IGNORE,
    LABEL_SPACES,
    OCC3D_NUSCENES,
    OPENOCC,
    ClassChannels,
    label_space,
)

# spec/data/formats section 3.2: OpenOcc index -> Occ3D index.
OCC3D_OF_OPENOCC = (4, 10, 9, 3, 5, 2, 6, 7, 8, 1, 11, 12, 13, 14, 15, 16, 17)
spaces = st.sampled_from(sorted(LABEL_SPACES.values(), key=lambda s: s.name))


def test_published_orders():
    assert OCC3D_NUSCENES.num_classes == 18
    assert OCC3D_NUSCENES.free == 17
    assert OCC3D_NUSCENES.dynamic == (2, 3, 4, 5, 6, 7, 9, 10)
    assert OPENOCC.num_classes == 17
    assert OPENOCC.free == 16
    assert OPENOCC.flow == tuple(range(8))
    assert tuple(OCC3D_NUSCENES.index(name) for name in OPENOCC.classes) == OCC3D_OF_OPENOCC


@settings(deadline=None)
@given(space=spaces)
def test_spaces_are_consistent(space):
    assert label_space(space.name) is label_space(space)
    assert len(set(space.classes)) == space.num_classes
    assert space.free not in space.semantic
    assert len(space.semantic) == space.num_classes - 1
    assert set(space.dynamic) | set(space.flow) <= set(space.semantic)
    assert all(0 <= value <= 255 for colour in space.palette for value in colour)


def test_unknown_names_are_refused_with_the_nearest():
    with pytest.raises(ConfigError, match="Occ3D-nuScenes"):
        label_space("Occ3D-nuscene")
    with pytest.raises(ConfigError, match="'pedestrian'"):
        OCC3D_NUSCENES.index("pedestrain")


@settings(deadline=None)
@given(space=spaces, void=st.booleans(), seed=st.integers(0, 10**6))
def test_channels_round_trip(space, void, seed):
    channels = ClassChannels(space, void)
    generator = torch.Generator().manual_seed(seed)
    first = int(space.noise)  # noise is never predicted
    labels = torch.randint(first, space.num_classes, (2, 3, 4, 5), generator=generator, dtype=torch.uint8)
    target = channels.from_labels(labels)
    assert target.dtype == torch.int64
    logits = torch.nn.functional.one_hot(target, channels.num_channels).movedim(-1, 1).float()
    back = channels.to_labels(logits)
    assert back.dtype == torch.uint8
    assert torch.equal(back, labels)
    assert torch.equal(channels.to_labels(logits.movedim(1, 0), dim=0), labels)
    assert (channels.from_labels(labels) == channels.free).equal(labels == space.free)


@settings(deadline=None)
@given(space=spaces, void=st.booleans())
def test_ignored_labels_stay_ignored(space, void):
    ignored = torch.full((3,), IGNORE, dtype=torch.uint8)
    assert (ClassChannels(space, void).from_labels(ignored) == IGNORE).all()


def test_the_void_channel_never_wins():
    channels = ClassChannels(OCC3D_NUSCENES, void=True)
    logits = torch.zeros(1, channels.num_channels, 1)
    logits[:, 0], logits[:, 5] = 10.0, 1.0
    assert channels.to_labels(logits).item() == 4


@pytest.mark.parametrize("void", [False, True])
def test_noise_never_wins_where_it_is_no_class(void):
    for name, wins in (("SurroundOcc", 4), ("OpenOccupancy", 4), ("Occ3D-nuScenes", 0)):
        channels = ClassChannels(label_space(name), void)
        logits = torch.zeros(1, channels.num_channels, 1)
        logits[:, int(void)], logits[:, 4 + int(void)] = 10.0, 1.0
        assert channels.to_labels(logits).item() == wins, name
