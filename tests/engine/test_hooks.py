"""Schedules in closed form; the average of weights against a loop written out."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from mmdet3d_plugin.engine.hooks import (
    DenoisingSchedule,
    FlowDenoisingSchedule,
    FrozenStatistics,
    HistorySchedule,
    LinearWarmUp,
    RampedEma,
    WarmUpCoolDown,
)
from mmdet3d_plugin.engine.plan import TrainPlan
from mmdet3d_plugin.errors import ConfigError


def test_warm_up_is_linear_in_samples():
    warm_up = LinearWarmUp(samples=3200, start_factor=1e-3)
    assert warm_up.factor(0) == pytest.approx(1e-3)
    assert warm_up.factor(1600) == pytest.approx(0.5005)
    assert warm_up.factor(3200) == warm_up.factor(10**6) == 1.0


def test_cool_down_falls_linearly_after_a_plateau():
    rate = WarmUpCoolDown(samples=10, cool_from=60, cool_to=100, start_factor=0.0, end_factor=0.2)
    assert [rate.factor(n) for n in (0, 5, 10, 60, 80, 100, 500)] == pytest.approx([0, 0.5, 1, 1, 0.6, 0.2, 0.2])
    with pytest.raises(ConfigError, match="cool_from"):
        WarmUpCoolDown(samples=10, cool_from=5, cool_to=100)


def test_warm_up_scales_every_group_from_its_own_rate():
    parameters = [nn.Parameter(torch.zeros(1)) for _ in range(2)]
    optimiser = torch.optim.SGD([{"params": [parameters[0]], "lr": 1.0}, {"params": [parameters[1]], "lr": 0.1}])
    runner = SimpleNamespace(
        optim_wrapper=SimpleNamespace(optimizer=optimiser), train_loop=SimpleNamespace(samples_seen=50)
    )
    warm_up = LinearWarmUp(samples=100, start_factor=0.0)
    warm_up.before_train(runner)
    for _ in range(2):  # setting it twice does not multiply it twice
        warm_up.before_train_iter(runner, 0)
    assert [g["lr"] for g in optimiser.param_groups] == pytest.approx([0.5, 0.05])


def test_statistics_are_frozen_from_their_start():
    model = nn.Sequential(nn.BatchNorm2d(2), nn.Dropout(), nn.Sequential(nn.BatchNorm3d(2)))
    runner = SimpleNamespace(model=model, train_loop=SimpleNamespace(samples_seen=9))
    hook = FrozenStatistics(start=10)
    for seen, frozen in ((9, False), (10, True), (11, True)):
        runner.train_loop.samples_seen = seen
        model.train()
        hook.before_train_iter(runner, 0)
        assert [module.training for module in (model[0], model[2][0])] == [not frozen] * 2
        assert model[1].training


def test_history_starts_after_its_start():
    """Iteration `start` is the last one without history (spec 8.3: active from start + 1)."""
    schedule = HistorySchedule(start=16010 * 16)
    assert not schedule.uses_history(0)
    assert not schedule.uses_history(16010 * 16)
    assert schedule.uses_history(16011 * 16)
    assert HistorySchedule(start=0).uses_history(0)


def test_denoising_falls_as_a_cosine():
    schedule = DenoisingSchedule(end=1000)
    assert schedule.rate(0) == 1.0
    assert schedule.rate(250) == pytest.approx((1 + math.sqrt(0.5)) / 2)
    assert schedule.rate(500) == pytest.approx(0.5)
    assert schedule.rate(1000) == schedule.rate(2000) == 0.0


def test_flow_denoising_stays_at_one_before_it_falls():
    """Iterations 16010 to 32020 of batches of 16 (spec 8.3)."""
    schedule = FlowDenoisingSchedule(start=16010 * 16, end=32020 * 16)
    assert [schedule.rate(n * 16) for n in (0, 8005, 16010)] == [1.0, 1.0, 1.0]
    assert 1 - 1e-7 < schedule.rate(16011 * 16) < 1.0
    assert schedule.rate(16010 * 24) == pytest.approx(0.5)
    assert schedule.rate(32020 * 16) == schedule.rate(10**9) == 0.0
    model = nn.Linear(1, 1)
    model.schedule = SimpleNamespace(denoise_rate=0.25, flow_denoise_rate=0.0)
    schedule.before_train_iter(SimpleNamespace(model=model, train_loop=SimpleNamespace(samples_seen=16010 * 24)), 0)
    assert model.schedule.flow_denoise_rate == pytest.approx(0.5)
    assert model.schedule.denoise_rate == 0.25
    with pytest.raises(ConfigError, match="start < end"):
        FlowDenoisingSchedule(start=10, end=10)


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(2, 2)
        self.b = self.a
        self.norm = nn.BatchNorm1d(2)


def test_average_follows_the_published_ramp_and_moves_tied_weights_once():
    torch.manual_seed(0)
    model = Tied()
    ema = RampedEma(decay=0.999, ramp=2000, init_updates=10560)
    runner = SimpleNamespace(model=model)
    ema.before_train(runner)
    by_hand = {k: v.clone().double() for k, v in model.state_dict().items()}
    for u in (10561, 10562, 10563):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter))
        model.norm(torch.randn(4, 2))
        ema.after_train_iter(runner, 0)
        d = 0.999 * (1 - math.exp(-u / 2000))
        for name, value in model.state_dict().items():
            if value.is_floating_point():
                by_hand[name] = d * by_hand[name] + (1 - d) * value
            else:
                by_hand[name] = value.double()
    assert d == pytest.approx(0.994, abs=1e-3)
    checkpoint = {}
    ema.before_save_checkpoint(runner, checkpoint)
    assert checkpoint["averaged"].keys() == model.state_dict().keys()
    assert checkpoint["ema_updates"] == 10563
    for name, value in checkpoint["averaged"].items():
        torch.testing.assert_close(value.double(), by_hand[name], rtol=1e-5, atol=1e-6)
    live = {k: v.clone() for k, v in model.state_dict().items()}
    with ema.applied(model):
        torch.testing.assert_close(model.b.weight.double(), by_hand["a.weight"], rtol=1e-5, atol=1e-6)
    assert all(torch.equal(v, live[k]) for k, v in model.state_dict().items())


def test_plan_counts_samples():
    plan = TrainPlan(samples=1000, global_batch=16, val_every=320, checkpoint_every=100)
    assert plan.steps == 63
    due = [step * 16 for step in range(1, 64) if plan.is_due(320, step)]
    assert due == [320, 640, 960, 1008]
    assert [s for s in range(1, 20) if plan.is_due(100, s)] == [7, 13, 19]
    assert not any(plan.is_due(0, step) for step in range(1, 64))
    assert [plan.lanes_per_process(n) for n in (1, 2, 4, 8, 16)] == [16, 8, 4, 2, 1]


def test_published_schedule_is_the_same_for_any_number_of_processes():
    """96060 iterations of 8 x 2 (spec 00, matrix A)."""
    plan = TrainPlan(samples=96060 * 16, global_batch=16, val_every=0, checkpoint_every=16000)
    assert plan.steps == 96060
    with pytest.raises(ConfigError, match="3 processes"):
        plan.lanes_per_process(3)


def test_plan_refuses_what_makes_no_sense():
    with pytest.raises(ConfigError, match="did you mean 'samples'"):
        TrainPlan.from_config({"sample": 1, "global_batch": 1, "val_every": 0, "checkpoint_every": 1})
    with pytest.raises(ConfigError, match="lacks the key 'val_every'"):
        TrainPlan.from_config({"samples": 1, "global_batch": 1, "checkpoint_every": 1})
    with pytest.raises(ConfigError, match="must be positive"):
        TrainPlan(samples=0, global_batch=1, val_every=0, checkpoint_every=1)
