"""Heads: scores, prototypes and the labels that are read from them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mmdet3d_plugin.models.heads import PrototypeMaskHead, VoxelClassifier
from mmdet3d_plugin.structures import OCC3D_NUSCENES, OccPrediction, Volume, VoxelGrid

GRID = VoxelGrid((0.0, 0.0, 0.0), (4.0, 3.0, 2.0), (4, 3, 2))


def heads(void: bool) -> list[nn.Module]:
    torch.manual_seed(0)
    return [VoxelClassifier(5, 7, void_channel=void), PrototypeMaskHead(5, 6, void_channel=void)]


@pytest.mark.parametrize("void", [False, True])
@pytest.mark.parametrize("index", [0, 1])
def test_one_logit_per_class_and_gradients_everywhere(void: bool, index: int) -> None:
    head = heads(void)[index]
    volume = Volume(torch.randn(2, 5, *GRID.zyx), GRID)
    prediction, memory = head(volume, None, None)
    assert memory is None
    assert prediction.logits.shape == (2, 18 + void, *GRID.zyx)
    total = prediction.logits.square().sum()
    if prediction.prototypes is not None:
        assert prediction.prototypes.shape == (18 + void, 6)
        total = total + prediction.prototypes.square().sum()
    total.backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in head.parameters())


@pytest.mark.parametrize("index", [0, 1])
def test_void_never_wins_and_ids_are_those_of_the_data_set(index: int) -> None:
    head = heads(True)[index]
    logits = torch.zeros(1, 19, *GRID.zyx)
    logits[:, 0] = 100.0
    logits[:, 1 + OCC3D_NUSCENES.index("car")] = 1.0
    labels = head.decode(OccPrediction(logits)).occupancy
    assert labels.dtype == torch.uint8
    assert (labels == OCC3D_NUSCENES.index("car")).all()


@pytest.mark.parametrize("index", [0, 1])
def test_decode_without_void(index: int) -> None:
    head = heads(False)[index]
    logits = torch.zeros(1, 18, *GRID.zyx)
    logits[:, OCC3D_NUSCENES.free] = 1.0
    assert (head.decode(OccPrediction(logits)).occupancy == OCC3D_NUSCENES.free).all()


def test_mask_logit_is_the_product_of_prototype_and_voxel() -> None:
    head = heads(False)[1]
    features = torch.randn(1, 5, *GRID.zyx)
    logits = head(Volume(features, GRID), None, None)[0].logits
    prototypes = head.voxel_embedding(head.norm(head.queries))
    expected = prototypes[3] @ features[0, :, 1, 2, 0]
    torch.testing.assert_close(logits[0, 3, 1, 2, 0], expected)


def test_classifier_works_voxel_by_voxel_after_its_convolution() -> None:
    head = heads(False)[0]
    features = torch.randn(1, 5, *GRID.zyx)
    hidden = torch.relu(head.conv(features))
    expected = head.classifier(hidden[0, :, 1, 2, 3])
    torch.testing.assert_close(head(Volume(features, GRID), None, None)[0].logits[0, :, 1, 2, 3], expected)


def test_without_context_there_is_no_image_branch() -> None:
    head = PrototypeMaskHead(5, None)
    assert head(Volume(torch.randn(1, 5, *GRID.zyx), GRID), None, None)[0].prototypes is None
    assert not any("image" in name for name, _ in head.named_parameters())
