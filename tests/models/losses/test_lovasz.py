"""The Lovász loss: equal to the Jaccard loss on hard masks, convex between, and blind to ignored voxels."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from mmdet3d_plugin.models.losses import LovaszSoftmax
from mmdet3d_plugin.models.losses.lovasz import lovasz_rows
from mmdet3d_plugin.structures import OccOutput, OccPrediction, OccTargets

IGNORE = 255


@pytest.mark.parametrize("mistakes", list(itertools.product((0.0, 1.0), repeat=4)))
def test_hard_masks_cost_one_minus_iou(mistakes: tuple[float, ...]) -> None:
    target = torch.tensor([[1.0, 1.0, 0.0, 0.0]])
    wrong = torch.tensor([mistakes])
    predicted = (target - wrong).abs()
    iou = (predicted * target).sum() / torch.maximum(predicted, target).sum()
    torch.testing.assert_close(lovasz_rows(wrong, target), (1 - iou)[None])


def test_known_soft_mask() -> None:
    """Errors .6 (positive), .4 (negative), .2 (positive): Jaccard loss 1/2, 2/3, 1 of the first 1, 2, 3 mistakes."""
    errors, target = torch.tensor([[0.2, 0.6, 0.4]]), torch.tensor([[1.0, 1.0, 0.0]])
    expected = 0.6 * 1 / 2 + 0.4 * (2 / 3 - 1 / 2) + 0.2 * (1 - 2 / 3)
    assert lovasz_rows(errors, target).item() == pytest.approx(expected, rel=1e-6)


@given(st.integers(0, 2**31), st.floats(0, 1))
def test_convex_in_the_errors(seed: int, share: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    first, second = torch.rand(2, 1, 12, generator=generator, dtype=torch.float64)
    target = (torch.rand(1, 12, generator=generator) < 0.4).double()
    between = lovasz_rows(share * first + (1 - share) * second, target)
    assert (between <= share * lovasz_rows(first, target) + (1 - share) * lovasz_rows(second, target) + 1e-12).all()


def case(void: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
    """Random labels of five classes with an ignored slab, and logits that are right with certainty."""
    labels = torch.randint(0, 5, (2, 3, 4, 5), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    labels[:, 0] = IGNORE
    classes = labels.long().masked_fill(labels == IGNORE, 0) + int(void)
    return 40.0 * functional.one_hot(classes, 18 + void).movedim(-1, 1).float(), labels


@pytest.mark.parametrize("void", [False, True])
def test_certain_predictions(void: bool) -> None:
    logits, labels = case(void)
    logits.requires_grad_()
    term = LovaszSoftmax(num_voxels=1000, void_channel=void, weight=2.0)
    right = term(OccOutput(OccPrediction(logits)), OccTargets(labels))["loss_lovasz"]
    wrong = term(OccOutput(OccPrediction(-logits)), OccTargets(labels))["loss_lovasz"]
    assert right.item() < 1e-6
    assert wrong.item() == pytest.approx(2.0, rel=1e-3)
    wrong.backward()
    assert logits.grad[:, :, 1:].abs().sum() > 0
    assert not logits.grad[:, :, 0].any()


def test_draws_estimate_the_loss_over_all_voxels() -> None:
    _, labels = case()
    output = OccOutput(OccPrediction(torch.randn(2, 18, 3, 4, 5, generator=torch.Generator().manual_seed(1))))
    everything = LovaszSoftmax(num_voxels=80)(output, OccTargets(labels))["loss_lovasz"].item()
    torch.manual_seed(0)
    term = LovaszSoftmax(num_voxels=60)
    draws = torch.stack([term(output, OccTargets(labels))["loss_lovasz"] for _ in range(100)])
    assert draws.std() > 1e-3
    assert draws.mean().item() == pytest.approx(everything, rel=0.02)


def test_nothing_labelled_is_zero() -> None:
    logits = torch.randn(1, 18, 1, 2, 2, requires_grad=True)
    targets = OccTargets(torch.full((1, 1, 2, 2), IGNORE, dtype=torch.uint8))
    loss = LovaszSoftmax(num_voxels=10)(OccOutput(OccPrediction(logits)), targets)["loss_lovasz"]
    assert loss.item() == 0.0
    loss.backward()
