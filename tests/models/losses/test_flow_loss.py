"""Flow losses in closed form."""

from __future__ import annotations

import math

import pytest
import torch

from mmdet3d_plugin.errors import ConfigError
from mmdet3d_plugin.models.losses import FlowLoss
from mmdet3d_plugin.structures import OccOutput, OccPrediction, OccTargets

BINS = (-2.0, 2.0, 1.0)  # -2, -1, 0, 1
SHAPE = (1, 2, 3)  # Z, Y, X


def output(flow, logits=None):
    logits = torch.zeros(len(flow), 4, *flow.shape[1:], dtype=flow.dtype) if logits is None else logits
    return OccOutput(OccPrediction(torch.zeros(len(flow), 5, *SHAPE), None, flow, logits))


def unlabelled(batch=1):
    return torch.full((batch, 2, *SHAPE), math.inf)


def losses(prediction, target):
    return FlowLoss(BINS)(prediction, OccTargets(flow=target))


def test_closed_form_over_two_labelled_voxels():
    truth, flow = unlabelled(), torch.full((1, 2, *SHAPE), 100.0)  # what is not labelled costs nothing
    truth[0, :, 0, 0, 0], flow[0, :, 0, 0, 0] = torch.tensor([1.0, 0.0]), torch.tensor([2.0, 2.0])
    truth[0, :, 0, 1, 2], flow[0, :, 0, 1, 2] = torch.tensor([0.0, -2.0]), torch.tensor([0.0, 3.0])
    logits = torch.zeros(1, 4, 2, *SHAPE)
    logits[0, 3, 0, 0, 0, 0] = math.log(5.0)  # p = 5 / 8 of the true bin, 1 / 4 for the other three components
    result = losses(output(flow, logits), truth)
    assert result["loss_flow"].item() == pytest.approx((1 + 4 + 0 + 25) / 4)
    assert result["loss_flow_cosine"].item() == pytest.approx(-(math.sqrt(0.5) - 1) / 2)
    assert result["loss_flow_bins"].item() == pytest.approx((math.log(8 / 5) + 3 * math.log(4)) / 4)


def test_components_are_not_mixed_up():
    truth = unlabelled()
    truth[0, :, 0, 0, 1] = torch.tensor([1.0, -2.0])
    logits = torch.zeros(1, 4, 2, *SHAPE)
    logits[0, 3, 0, 0, 0, 1] = logits[0, 0, 1, 0, 0, 1] = 50.0
    right = losses(output(torch.zeros(1, 2, *SHAPE), logits), truth)["loss_flow_bins"]
    wrong = losses(output(torch.zeros(1, 2, *SHAPE), logits.flip(2)), truth)["loss_flow_bins"]
    assert right.item() < 1e-6
    assert wrong.item() == pytest.approx(50.0)


def test_every_voxel_weighs_the_same_whatever_its_sample():
    """The mean is over voxels of the whole batch, not over samples."""
    truth, flow = unlabelled(2), torch.zeros(2, 2, *SHAPE)
    truth[0, :, 0, 0, 0] = 3.0
    truth[1, :, 0] = 0.0  # six voxels
    assert losses(output(flow), truth)["loss_flow"].item() == pytest.approx(9.0 / 7)


def test_without_labels_the_losses_are_zero_and_reach_the_prediction():
    flow = torch.randn(1, 2, *SHAPE, requires_grad=True)
    logits = torch.randn(1, 4, 2, *SHAPE, requires_grad=True)
    result = losses(output(flow, logits), unlabelled())
    assert [value.item() for value in result.values()] == [0.0, 0.0, 0.0]
    sum(result.values()).backward()
    assert flow.grad.abs().sum() == logits.grad.abs().sum() == 0


def test_gradients():
    generator = torch.Generator().manual_seed(0)
    truth = torch.randn(1, 2, *SHAPE, generator=generator, dtype=torch.float64)
    truth[0, :, 0, 1] = math.inf

    def total(flow, logits):
        return sum(losses(output(flow, logits), truth).values())

    flow, logits = (
        torch.randn(1, *channels, *SHAPE, generator=generator, dtype=torch.float64, requires_grad=True)
        for channels in ((2,), (4, 2))
    )
    assert torch.autograd.gradcheck(total, (flow, logits))


def test_what_is_missing_is_named():
    flow = torch.zeros(1, 2, *SHAPE)
    with pytest.raises(ConfigError, match="predicts flow"):
        FlowLoss(BINS)(OccOutput(OccPrediction(torch.zeros(1, 5, *SHAPE))), OccTargets(flow=unlabelled()))
    with pytest.raises(ConfigError, match="flow labels"):
        FlowLoss(BINS)(output(flow), OccTargets())
    with pytest.raises(ConfigError, match="velocity bins"):
        FlowLoss((-2.0, 3.0, 1.0))(output(flow), OccTargets(flow=unlabelled()))
