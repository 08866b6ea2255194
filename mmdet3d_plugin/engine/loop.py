"""The training loop: one optimiser step per batch of parallel streams, counted in samples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mmengine.runner import BaseLoop
from torch.utils.data import DataLoader

from .loaders import checked
from .plan import TrainPlan

if TYPE_CHECKING:
    from .runner import OccRunner


class StreamingTrainLoop(BaseLoop):
    """Runs the steps of a plan, and the validations and checkpoints that are due between them.

    Args:
        runner: the runner.
        dataloader: yields the batches of this process, from the first step of the plan.
        plan: how long to train.
    """

    def __init__(self, runner: OccRunner, dataloader: DataLoader, plan: TrainPlan):
        super().__init__(runner, dataloader)
        self.plan = plan
        self.steps_done = 0

    @property
    def samples_seen(self) -> int:
        """Training samples of all processes so far."""
        return self.steps_done * self.plan.global_batch

    @property
    def iter(self) -> int:
        """Optimiser steps so far (the name that hooks of mmengine use)."""
        return self.steps_done

    @property
    def max_iters(self) -> int:
        """Optimiser steps of the plan (the name that hooks of mmengine use)."""
        return self.plan.steps

    @property
    def epoch(self) -> int:
        """Always 0: a stream has no epochs."""
        return 0

    @property
    def max_epochs(self) -> int:
        """Always 1: a stream has no epochs."""
        return 1

    def run(self) -> Any:
        """Train to the end of the plan, from wherever the runner has resumed."""
        runner = self.runner
        runner.call_hook("before_train")
        runner.call_hook("before_train_epoch")
        if self.steps_done and self.plan.is_due(self.plan.val_every, self.steps_done):
            runner.validate()  # the run may have been stopped before or in this validation
        self.dataloader.batch_sampler.set_position(self.steps_done)
        for batch in checked(self.dataloader, self.plan.steps - self.steps_done):
            self.run_iter(batch)
        runner.call_hook("after_train_epoch")
        runner.call_hook("after_train")
        return runner.model

    def run_iter(self, batch: Any) -> None:
        """One optimiser step, then what is due after it."""
        runner = self.runner
        runner.model.train()
        runner.call_hook("before_train_iter", batch_idx=self.steps_done, data_batch=batch)
        outputs = runner.model.train_step(batch, optim_wrapper=runner.optim_wrapper)
        runner.call_hook("after_train_iter", batch_idx=self.steps_done, data_batch=batch, outputs=outputs)
        self.steps_done += 1
        self.dataloader.batch_sampler.set_position(self.steps_done)
        if self.plan.is_due(self.plan.checkpoint_every, self.steps_done):
            runner.save()
        if self.plan.is_due(self.plan.val_every, self.steps_done):
            runner.validate()
