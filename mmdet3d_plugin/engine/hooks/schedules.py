"""Quantities that follow the number of samples seen, and nothing else: a resumed run needs its position."""

from __future__ import annotations

import math

from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import nn

from ...errors import ConfigError
from ...registry import HOOKS
from ..distributed import unwrapped


@HOOKS.register_module()
class LinearWarmUp(Hook):
    """Learning rate rising linearly to the one in the config, constant afterwards (spec 8.4).

    Args:
        samples: length of the rise in training samples.
        start_factor: share of the learning rate at the first step.
    """

    def __init__(self, samples: int, start_factor: float = 1e-3):
        self.samples, self.start_factor = samples, start_factor

    def factor(self, samples_seen: int) -> float:
        """Share of the configured learning rate after that many samples."""
        if samples_seen >= self.samples:
            return 1.0
        return self.start_factor + (1.0 - self.start_factor) * samples_seen / self.samples

    def before_train(self, runner: Runner) -> None:
        """Remember the configured learning rate of every parameter group, where a checkpoint has not."""
        for group in runner.optim_wrapper.optimizer.param_groups:
            group.setdefault("initial_lr", group["lr"])

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: object = None) -> None:
        """Set the learning rate of the step to come."""
        factor = self.factor(runner.train_loop.samples_seen)
        for group in runner.optim_wrapper.optimizer.param_groups:
            group["lr"] = group["initial_lr"] * factor


@HOOKS.register_module()
class WarmUpCoolDown(LinearWarmUp):
    """A learning rate that also falls linearly in the last part of a short training.

    Args:
        samples: length of the rise in training samples.
        cool_from, cool_to: where the fall begins and ends, in training samples.
        start_factor: share of the learning rate at the first step.
        end_factor: share of the learning rate from `cool_to` on.
    """

    def __init__(
        self, samples: int, cool_from: int, cool_to: int, start_factor: float = 1e-3, end_factor: float = 0.02
    ):
        super().__init__(samples, start_factor)
        if not samples <= cool_from < cool_to:
            raise ConfigError(
                "WarmUpCoolDown",
                found=f"samples={samples}, cool_from={cool_from}, cool_to={cool_to}",
                expected="samples <= cool_from < cool_to",
            )
        self.cool_from, self.cool_to, self.end_factor = cool_from, cool_to, end_factor

    def factor(self, samples_seen: int) -> float:
        """Share of the configured learning rate after that many samples."""
        fallen = (samples_seen - self.cool_from) / (self.cool_to - self.cool_from)
        fallen = min(max(fallen, 0.0), 1.0)
        return super().factor(samples_seen) * (1.0 - (1.0 - self.end_factor) * fallen)


@HOOKS.register_module()
class FrozenStatistics(Hook):
    """Batch normalisation uses its running statistics, as in evaluation, instead of those of the batch.

    In batches of one sample a network can learn to lean on the statistics of that sample, which evaluation does not
    have: a model that knows its training samples then fails on the very same ones.

    Args:
        start: from so many training samples on; what is learned until then gives the statistics.
    """

    def __init__(self, start: int):
        self.start = start

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: object = None) -> None:
        """Switch the normalisation of the step to come; the loop has set all modules to training."""
        if runner.train_loop.samples_seen < self.start:
            return
        for module in unwrapped(runner.model).modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()


@HOOKS.register_module()
class HistorySchedule(Hook):
    """Train without temporal history at first (spec 8.3, SequentialControl).

    Args:
        start: history is used once more than that many samples have been seen; 0 = from the first step.
    """

    def __init__(self, start: int):
        self.start = start

    def uses_history(self, samples_seen: int) -> bool:
        """Whether the step after that many samples uses history."""
        return self.start == 0 or samples_seen > self.start

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: object = None) -> None:
        """Tell the model whether to use history in the step to come."""
        unwrapped(runner.model).schedule.use_history = self.uses_history(runner.train_loop.samples_seen)


@HOOKS.register_module()
class DenoisingSchedule(Hook):
    """Share of lidar depth mixed into the lifting: a cosine from 1 to 0 (spec 8.3, FusionRateControl).

    Args:
        end: training samples after which the share is 0.
    """

    def __init__(self, end: int):
        self.end = end

    def rate(self, samples_seen: int) -> float:
        """(1 + cos(pi t)) / 2 with t = samples_seen / end in 0..1."""
        return _cosine_fall(samples_seen, 0, self.end)

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: object = None) -> None:
        """Set the share for the step to come."""
        unwrapped(runner.model).schedule.denoise_rate = self.rate(runner.train_loop.samples_seen)


@HOOKS.register_module()
class FlowDenoisingSchedule(Hook):
    """Share of the true match in the matching of a flow head: 1 at first, then a cosine to 0 (spec 8.3).

    Args:
        start: training samples until which the share is 1.
        end: training samples after which it is 0.

    Raises:
        ConfigError: `end` does not come after `start`.
    """

    def __init__(self, start: int, end: int):
        if not 0 <= start < end:
            raise ConfigError("FlowDenoisingSchedule", found=f"start={start}, end={end}", expected="0 <= start < end")
        self.start, self.end = start, end

    def rate(self, samples_seen: int) -> float:
        """(1 + cos(pi t)) / 2 with t = (samples_seen - start) / (end - start) in 0..1."""
        return _cosine_fall(samples_seen, self.start, self.end)

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: object = None) -> None:
        """Set the share for the step to come."""
        unwrapped(runner.model).schedule.flow_denoise_rate = self.rate(runner.train_loop.samples_seen)


def _cosine_fall(samples_seen: int, start: int, end: int) -> float:
    """1 until `start`, 0 from `end` on, half a cosine between them."""
    if samples_seen >= end:
        return 0.0
    return 0.5 * (1.0 + math.cos(math.pi * max(samples_seen - start, 0) / (end - start)))
