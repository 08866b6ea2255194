"""The affinity loss: known values, no loss where all is right, and gradients that do not shrink with rare classes."""

from __future__ import annotations

from math import log

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from mmdet3d_plugin.models.losses import SceneClassAffinity
from mmdet3d_plugin.models.losses.scene_class_affinity import affinity_rows
from mmdet3d_plugin.structures import OccOutput, OccPrediction, OccTargets

IGNORE, FREE = 255, 17


def loss(logits: Tensor, labels: Tensor, **arguments: float) -> Tensor:
    return SceneClassAffinity(**arguments)(OccOutput(OccPrediction(logits)), OccTargets(labels))["loss_affinity"]


def test_known_soft_mask() -> None:
    """p = .8 .4 .2 of targets 1 0 0: precision .8 / 1.4, recall .8, specificity (.6 + .8) / 2."""
    row = affinity_rows(torch.tensor([[0.8, 0.4, 0.2]]), torch.tensor([[1.0, 0.0, 0.0]]))
    assert row.item() == pytest.approx(-log(0.8 / 1.4) - log(0.8) - log(0.7), abs=1e-4)


def test_without_negatives_specificity_is_left_out() -> None:
    row = affinity_rows(torch.tensor([[0.5, 0.5]]), torch.ones(1, 2))
    assert row.item() == pytest.approx(-log(0.5), abs=1e-4)


def test_without_any_probability_precision_is_left_out() -> None:
    row = affinity_rows(torch.zeros(1, 2), torch.tensor([[1.0, 0.0]]))
    assert row.item() == pytest.approx(-log(1e-5), rel=1e-3)


@given(st.integers(0, 2**31), st.integers(1, 11))
def test_never_negative_and_least_at_the_truth(seed: int, positives: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    target = (torch.randperm(12, generator=generator) < positives).float()[None]
    soft = torch.rand(1, 12, generator=generator)
    best = affinity_rows(target, target)
    assert 0 <= best.item() < 1e-4
    assert (affinity_rows(soft, target) >= best).all()


@pytest.mark.parametrize("void", [False, True])
def test_mean_over_present_classes_without_free_and_ignored_voxels(void: bool) -> None:
    labels = torch.tensor([[[[3, 3, 4, FREE, IGNORE, IGNORE]]]], dtype=torch.uint8)
    logits = torch.zeros(1, 18 + void, 1, 1, 6)
    logits[0, :, 0, 0, 4:] = torch.randn(18 + void, 2)
    p = 1 / (18 + void)
    rows = [
        -log(positives * p / (4 * p)) - log(p) - log(1 - p)  # of 4 labelled voxels
        for positives in (2, 1)
    ]
    found = loss(logits, labels, void_channel=void, weight=3.0)
    assert found.item() == pytest.approx(3.0 * sum(rows) / 2, abs=1e-3)


def test_a_rare_class_that_is_missed_keeps_its_gradient() -> None:
    """One voxel in a thousand: the cross entropy, a mean over voxels, pulls a hundred times less."""
    labels = torch.full((1, 1, 1, 1000), FREE, dtype=torch.uint8)
    labels[..., 0] = 2
    logits = torch.zeros(1, 18, 1, 1, 1000)
    logits[:, FREE] = 5.0
    ours, theirs = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    loss(ours, labels).backward()
    functional.cross_entropy(theirs, labels.long()).backward()
    assert ours.grad[0, 2, 0, 0, 0] < 100 * theirs.grad[0, 2, 0, 0, 0] < 0


@pytest.mark.parametrize("label", [IGNORE, FREE])
def test_nothing_to_find_is_zero(label: int) -> None:
    logits = torch.randn(1, 18, 1, 2, 2, requires_grad=True)
    found = loss(logits, torch.full((1, 1, 2, 2), label, dtype=torch.uint8))
    found.backward()
    assert found.item() == 0
    assert not logits.grad.any()
