"""Mask losses: closed forms of the terms, the choice of points, and what is ignored (spec/07 section 7.1)."""

from __future__ import annotations

import math

import pytest
import torch
from scipy.stats import chi2
from torch import Tensor
from torch.nn import functional

from mmdet3d_plugin.models.losses import MaskLoss, PointSampler
from mmdet3d_plugin.models.losses.mask import MaskCriterion, dice_rows, select_points
from mmdet3d_plugin.structures import OCC3D_NUSCENES, ClassChannels, OccOutput, OccPrediction, OccTargets

IGNORE = 255
CHANNELS = ClassChannels(OCC3D_NUSCENES)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def criterion(num_points: int = 1000, weight: float = 1.0) -> MaskCriterion:
    return MaskCriterion(CHANNELS, num_points, weight)


def test_dice_of_known_rows() -> None:
    logits = torch.tensor([[0.0, 0.0], [50.0, -50.0], [-50.0, 50.0]])
    targets = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    # p = (1/2, 1/2): 1 - (2/2 + 1) / (1 + 1 + 1); perfect: 0; inverted: 1 - 1/3
    torch.testing.assert_close(dice_rows(logits, targets), torch.tensor([1 / 3, 0.0, 2 / 3]))


def test_undecided_masks_cost_ln_2_whatever_the_points() -> None:
    labels = torch.randint(0, 4, (2, 500))
    bce, _ = criterion(100)(torch.zeros(2, 18, 500), labels)
    assert bce.item() == pytest.approx(math.log(2), rel=1e-5)


def test_perfect_masks_cost_nothing() -> None:
    labels = torch.randint(0, 18, (1, 500))
    logits = 100.0 * functional.one_hot(labels, 18).transpose(1, 2).float() - 50.0
    bce, dice = criterion(100)(logits, labels)
    assert bce.item() < 1e-6
    assert dice.item() < 1e-6


def test_rows_are_averaged_by_class_weight() -> None:
    """Class 0 wrong everywhere by a margin of m, class 3 right: only the first row costs, by its share."""
    margin = 30.0
    labels = torch.tensor([[0] * 10 + [3] * 10])
    logits = torch.full((1, 18, 20), -margin)
    logits[0, 0] = torch.where(labels[0] == 0, -margin, margin)
    logits[0, 3] = torch.where(labels[0] == 3, margin, -margin)
    loss = criterion()
    bce, dice = loss(logits, labels)
    share = loss.class_weight[0] / (loss.class_weight[0] + loss.class_weight[3])
    assert bce.item() == pytest.approx((margin * share).item(), rel=1e-5)
    # Every labelled cell is taken once as uncertain and once as uniform: sum p = sum t = 20 without overlap.
    assert dice.item() == pytest.approx(((1 - 1 / 41) * share).item(), rel=1e-5)


def test_samples_of_a_batch_share_one_average() -> None:
    labels = torch.randint(0, 5, (2, 40))
    logits = torch.randn(2, 18, 40)
    loss = criterion()  # more points than cells: every cell is taken, nothing is random
    both = loss(logits, labels)
    parts = [loss(logits[i : i + 1], labels[i : i + 1]) for i in (0, 1)]
    weights = [loss.class_weight[labels[i].unique()].sum() for i in (0, 1)]
    for index in (0, 1):
        mean = (parts[0][index] * weights[0] + parts[1][index] * weights[1]) / sum(weights)
        torch.testing.assert_close(both[index], mean)


def test_all_cells_taken_equals_the_plain_mean() -> None:
    labels = torch.randint(0, 5, (1, 60))
    logits = torch.randn(1, 18, 60)
    loss = criterion()
    present = labels.unique()
    targets = (labels == present[:, None]).float()
    bce = functional.binary_cross_entropy_with_logits(logits[0, present], targets, reduction="none").mean(1)
    weights = loss.class_weight[present]
    torch.testing.assert_close(loss(logits, labels)[0], (bce * weights).sum() / weights.sum())


def test_ignored_cells_never_matter() -> None:
    labels = torch.randint(0, 5, (1, 200))
    labels[0, ::2] = IGNORE
    logits = torch.randn(1, 18, 200)
    other = logits.clone()
    other[..., ::2] = 1e4 * torch.randn(18, 100)
    loss = criterion()
    torch.testing.assert_close(loss(logits, labels), loss(other, labels))


def test_nothing_labelled_costs_nothing_and_stays_differentiable() -> None:
    logits = torch.randn(2, 18, 30, requires_grad=True)
    bce, dice = criterion()(logits, torch.full((2, 30), IGNORE))
    assert bce.item() == dice.item() == 0.0
    (bce + dice).backward()
    assert (logits.grad == 0).all()


def test_one_empty_sample_does_not_disturb_the_other() -> None:
    labels = torch.randint(0, 5, (2, 30))
    labels[1] = IGNORE
    logits = torch.randn(2, 18, 30)
    loss = criterion()
    torch.testing.assert_close(loss(logits, labels), loss(logits[:1], labels[:1]))


def test_three_quarters_of_the_points_are_the_most_uncertain_candidates() -> None:
    labels = torch.zeros(300, dtype=torch.long)
    logits = torch.arange(300.0)[torch.randperm(300)][None] + 1.0
    points = select_points(logits, torch.tensor([0]), labels, torch.ones(18), 100, IGNORE, PointSampler())
    assert points.shape == (1, 100)
    # All 300 cells are candidates (3 per point), so the first 75 points are the 75 smallest |logit|.
    assert sorted(logits[0, points[0, :75]].tolist()) == [float(i) for i in range(1, 76)]
    assert points[0, 75:].unique().numel() == 25


def test_rare_classes_are_drawn_more_often() -> None:
    labels = torch.tensor([0, 1]).repeat_interleave(2000)
    rarity = torch.tensor([1.0, 9.0])
    rows = torch.zeros(50, dtype=torch.long)
    draws = select_points(torch.zeros(2, 4000), rows, labels, rarity, 40, IGNORE, PointSampler())
    uncertain, uniform = labels[draws[:, :30]].float().mean(), labels[draws[:, 30:]].float().mean()
    assert uncertain.item() == pytest.approx(0.9, abs=0.03)
    assert uniform.item() == pytest.approx(0.5, abs=0.08)


@pytest.mark.parametrize("visible", [1, 30, 90, 130])
def test_points_of_a_loss_are_never_ignored_ones(visible: int) -> None:
    """Importance candidates and the uniform rest, with fewer labelled voxels than either asks for (spec/99 A21)."""
    labels = torch.full((400,), IGNORE)
    labels[torch.randperm(400)[:visible]] = torch.randint(0, 5, (visible,))
    logits = torch.randn(5, 400)
    for _ in range(20):
        points = select_points(logits, torch.arange(5), labels, torch.rand(18) + 0.1, 100, IGNORE, PointSampler())
        assert points.shape[0] == 5
        assert (labels[points] != IGNORE).all()


@pytest.mark.parametrize("void", [False, True])
def test_loss_term_reads_labels_of_the_data_set(void: bool) -> None:
    term = MaskLoss(num_points=500, void_channel=void, weight=2.0)
    labels = torch.randint(0, 18, (2, 3, 4, 5)).to(torch.uint8)
    labels[0, 0] = IGNORE
    classes = labels.long().masked_fill(labels == IGNORE, 0) + int(void)
    logits = 100.0 * functional.one_hot(classes, 18 + void).permute(0, 4, 1, 2, 3).float() - 50.0
    logits.requires_grad_()
    losses = term(OccOutput(OccPrediction(logits)), OccTargets(labels))
    assert set(losses) == {"loss_mask", "loss_dice"}
    assert all(value < 1e-5 for value in losses.values())
    wrong = term(OccOutput(OccPrediction(-logits)), OccTargets(labels))
    assert wrong["loss_mask"] > 50.0
    sum(wrong.values()).backward()
    assert logits.grad.abs().sum() > 0
    assert not logits.grad[0, :, 0].any()


class TestPointSampler:
    """Draws without replacement, in proportion, and never a cell of weight 0."""

    def draw(self, weights: Tensor, rows: int, count: int) -> Tensor:
        return PointSampler().draw(weights, rows, count)

    def test_single_draws_are_proportional(self) -> None:
        weights = torch.tensor([1.0, 0.0, 2.0, 5.0])
        share = self.draw(weights, 40000, 1).flatten().bincount(minlength=4) / 40000
        torch.testing.assert_close(share, weights / 8, atol=0.01, rtol=0)

    def test_pairs_follow_sequential_draws_without_replacement(self) -> None:
        weights = torch.tensor([1.0, 2.0, 5.0])
        pairs = self.draw(weights, 40000, 2).sort(dim=1).values
        share = ((pairs[:, 0] == 0) & (pairs[:, 1] == 1)).float().mean().item()
        assert share == pytest.approx(1 / 8 * 2 / 7 + 2 / 8 * 1 / 6, abs=0.01)

    def test_cells_are_distinct_and_positive(self) -> None:
        weights = torch.rand(500)
        weights[::3] = 0
        points = self.draw(weights, 20, 200)
        assert (weights[points] > 0).all()
        assert all(row.unique().numel() == 200 for row in points)

    def test_runs_out_instead_of_taking_ignored_cells(self) -> None:
        weights = torch.zeros(100)
        weights[[3, 50, 99]] = 1.0
        assert self.draw(weights, 2, 10).sort(dim=1).values.tolist() == [[3, 50, 99]] * 2

    def test_frequencies_follow_the_weights(self) -> None:
        """Chi-square of 60 000 first draws over cells whose weights span three decades, some of them zero."""
        weights = torch.logspace(-1, 2, 40)
        weights[::5] = 0.0
        draws, positive = 60000, weights > 0
        found = torch.cat([self.draw(weights, 6000, 1).flatten() for _ in range(10)]).bincount(minlength=40)
        assert not found[~positive].any()
        expected = (draws * weights / weights.sum())[positive]
        statistic = ((found[positive] - expected) ** 2 / expected).sum().item()
        assert statistic < chi2.isf(1e-4, df=int(positive.sum()) - 1)

    def test_inclusion_without_replacement_is_that_of_multinomial(self) -> None:
        """How often each cell is among 3 of 6: the same law as successive draws, measured against torch's own."""
        weights, rows = torch.tensor([1.0, 2.0, 3.0, 4.0, 8.0, 16.0]), 40000
        ours = self.draw(weights, rows, 3).flatten().bincount(minlength=6) / rows
        theirs = torch.multinomial(weights.expand(rows, -1), 3).flatten().bincount(minlength=6) / rows
        deviation = (2 * theirs * (1 - theirs) / rows).sqrt()
        assert ((ours - theirs).abs() < 4.5 * deviation).all()

    @pytest.mark.parametrize("kept", [1, 3, 9])
    def test_never_draws_ignored_cells_where_the_published_sampler_does(self, kept: int) -> None:
        """spec/99 A21: drawing more cells than have a positive weight, multinomial takes others without a word."""
        weights = torch.zeros(50)
        weights[torch.randperm(50)[:kept]] = torch.rand(kept) + 0.1
        published = torch.multinomial(weights.expand(20, -1), 12)
        assert (weights[published] == 0).any()
        ours = self.draw(weights, 20, 12)
        assert ours.shape == (20, kept)
        assert (weights[ours] > 0).all()

    def test_rows_are_independent(self) -> None:
        first, second = self.draw(torch.ones(1000), 2, 100)
        assert len(set(first.tolist()) & set(second.tolist())) < 40

    def test_no_cell_at_all(self) -> None:
        assert self.draw(torch.zeros(10), 3, 5).shape == (3, 0)
