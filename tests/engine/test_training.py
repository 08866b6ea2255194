"""A training: which samples it sees, what it writes, and that stopping it changes nothing."""

from __future__ import annotations

import itertools
import json
import signal
from collections import Counter
from pathlib import Path

import pytest
import torch

from mmdet3d_plugin.engine.checkpoint import saved_checkpoints
from mmdet3d_plugin.engine.hooks import read_log
from mmdet3d_plugin.engine.runner import store_channels_last


def strike(step: int, when: str = "step") -> dict[str, dict]:
    return {"strike": {"type": "Strike", "step": step, "when": when}}


def losses(work_dir: Path) -> list[tuple[int, float]]:
    return [(r["samples"], r["loss"]) for r in read_log(work_dir) if r["mode"] == "train"]


def weights(work_dir: Path) -> dict[str, torch.Tensor]:
    return torch.load(work_dir / "latest" / "model.pth", weights_only=True)["state_dict"]


def same_tensors(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


@pytest.mark.parametrize(("processes", "workers"), [(1, 0), (1, 1), (2, 0), (4, 0)])
def test_killed_and_resumed_run_equals_one_never_stopped(training, tmp_path, processes, workers):
    # With four processes the order of a sum matters, and gradients are wide enough to be cut into pieces.
    options = {
        "train_dataloader__num_workers": workers,
        "train_cfg__val_every": 24,
        "model__network__width": 64,
    }
    status, text = training("whole", processes, **options)
    assert status == [0] * processes, text
    status, text = training("broken", processes, hooks=strike(5), **options)
    assert -signal.SIGKILL in status, text
    assert losses(tmp_path / "broken")[-1][0] == 20  # killed two steps after the checkpoint at 12 samples
    status, text = training("broken", processes, resume=True, **options)
    assert status == [0] * processes, text
    assert "12 samples seen" in text
    assert losses(tmp_path / "broken") == losses(tmp_path / "whole")
    assert [s for s, _ in losses(tmp_path / "whole")] == list(range(4, 49, 4))
    assert same_tensors(weights(tmp_path / "broken"), weights(tmp_path / "whole"))
    validations = [[r for r in read_log(tmp_path / d) if r["mode"] == "val"] for d in ("broken", "whole")]
    assert validations[0] == validations[1]
    assert [r["samples"] for r in validations[0]] == [24, 48]


def test_run_killed_while_it_saves_keeps_the_checkpoint_before(training, tmp_path):
    assert training("whole")[0] == [0]
    assert training("broken", hooks=strike(6, "save"))[0] == [-signal.SIGKILL]
    folder = tmp_path / "broken" / "checkpoints"
    assert [p.name for p in saved_checkpoints(folder.parent)] == ["samples_000000012"]
    assert list(folder.glob(".writing_*"))  # the half-written one, which nobody can take for a whole one
    assert training("broken", resume=True)[0] == [0]
    assert losses(tmp_path / "broken") == losses(tmp_path / "whole")
    assert not list(folder.glob(".*"))


def test_resuming_with_another_number_of_processes_keeps_the_samples(training, tmp_path):
    tokens = {"tokens": {"type": "RecordTokens"}}
    calm = {"model__network__dropout": 0.0, "train_cfg__samples": 24}
    assert training("one", hooks=tokens, **calm)[0] == [0]
    assert training("both", hooks=strike(4), **calm)[0] == [-signal.SIGKILL]
    status, text = training("both", processes=2, resume=True, hooks=tokens, **calm)
    assert status == [0, 0], text
    assert "another number of processes" in text
    assert global_batches(tmp_path / "both", 2) == global_batches(tmp_path / "one", 1)[3:]
    streams = [
        torch.load(p, weights_only=True)["stream"]["temporal"]["age"]
        for p in sorted((tmp_path / "both" / "latest").glob("rank_*.pth"))
    ]
    whole = torch.load(tmp_path / "one" / "latest" / "rank_0.pth", weights_only=True)["stream"]["temporal"]["age"]
    assert torch.equal(torch.cat(streams), whole)


def global_batches(work_dir: Path, processes: int) -> list[list[str]]:
    """Tokens of every batch, all processes together in the order of the lanes."""
    parts = [(work_dir / f"tokens_{rank}.txt").read_text().splitlines() for rank in range(processes)]
    return [" ".join(step).split() for step in zip(*parts)]


def test_any_number_of_processes_sees_the_same_samples(training, tmp_path):
    seen = {}
    for processes in (1, 2, 4):
        status, text = training(
            f"p{processes}", processes, hooks={"tokens": {"type": "RecordTokens"}}, train_cfg__samples=24
        )
        assert status == [0] * processes, text
        assert f"global batch 4 = {processes} processes x {4 // processes} streams" in text
        assert "learning rate 0.01" in text
        seen[processes] = global_batches(tmp_path / f"p{processes}", processes)
    assert len(seen[1]) == 6
    assert seen[1] == seen[2] == seen[4]
    assert all(len(set(batch)) > 1 for batch in seen[1])


def test_streams_follow_their_sequences(training, tmp_path):
    assert training("run", hooks={"tokens": {"type": "RecordTokens"}})[0] == [0]
    lanes = list(zip(*global_batches(tmp_path / "run", 1)))
    starts = {"token000", "token005", "token008", "token012"}
    for lane in lanes:
        for before, after in itertools.pairwise(lane):
            assert after in starts or int(after[5:]) == int(before[5:]) + 1
    assert len(Counter(lanes)) == 4


def test_newest_two_checkpoints_are_kept_and_latest_points_to_the_last(training, tmp_path):
    assert training("run")[0] == [0]
    run = tmp_path / "run"
    assert [p.name for p in saved_checkpoints(run)] == ["samples_000000036", "samples_000000048"]
    assert (run / "latest").resolve() == saved_checkpoints(run)[-1].resolve()
    files = sorted(p.name for p in (run / "latest").iterdir())
    assert files == ["model.pth", "rank_0.pth", "trainer.pth"]


def test_work_dir_describes_the_run(training, tmp_path):
    assert training("run", train_cfg__samples=12)[0] == [0]
    run = tmp_path / "run"
    assert "samples=12" in (run / "toy.py").read_text()
    environment = json.loads((run / "environment.json").read_text())
    assert {"git", "libraries", "python", "devices", "command"} <= set(environment)
    record = read_log(run)[-1]
    assert {"loss", "loss_voxel", "grad_norm", "lr", "data_time", "step_time", "memory_mib"} <= set(record)
    assert list((run / "tensorboard").glob("events*"))


def test_a_training_is_never_overwritten(training, tmp_path):
    assert training("run", train_cfg__samples=12)[0] == [0]
    status, text = training("run", train_cfg__samples=24)
    assert status == [1]
    assert "--resume" in text
    assert training("run", resume=True, train_cfg__samples=24)[0] == [0]
    assert losses(tmp_path / "run")[-1][0] == 24


def test_training_starts_from_the_weights_that_the_config_names(training, tmp_path):
    assert training("first", train_cfg__samples=24)[0] == [0]
    still = {"optim_wrapper__optimizer__lr": 0.0, "optim_wrapper__optimizer__weight_decay": 0.0}
    assert training("second", load_from=str(tmp_path / "first"), train_cfg__samples=4, **still)[0] == [0]
    first, second = weights(tmp_path / "first"), weights(tmp_path / "second")
    for name in ("network.encode.0.weight", "network.mix.weight", "network.classify.bias"):
        assert torch.equal(first[name], second[name])


def test_frozen_statistics_stay_what_they_were_while_weights_are_trained(training, tmp_path):
    for name, start in (("frozen", 0), ("moving", 1000)):
        status, text = training(
            name, train_cfg__samples=12, hooks={"frozen": {"type": "FrozenStatistics", "start": start}}
        )
        assert status == [0], text
    frozen, moving = weights(tmp_path / "frozen"), weights(tmp_path / "moving")
    assert not frozen["network.encode.1.running_mean"].any()
    assert moving["network.encode.1.running_mean"].any()
    assert (frozen["network.encode.1.weight"] != 1).any()


def test_mixed_precision_trains(training, tmp_path):
    status, text = training("half", amp=True)
    assert status == [0], text
    assert training("full")[0] == [0]
    half, full = losses(tmp_path / "half"), losses(tmp_path / "full")
    assert half != full
    assert half[-1][1] == pytest.approx(full[-1][1], rel=0.05)
    assert all(t.dtype != torch.bfloat16 for t in weights(tmp_path / "half").values())


def test_kernels_in_space_are_stored_channels_last_and_give_the_same_output():
    model = torch.nn.Sequential(torch.nn.Conv3d(4, 4, 3), torch.nn.Conv3d(4, 2, 1)).double()
    volume = torch.randn(1, 4, 5, 6, 7, dtype=torch.float64)
    before = model(volume)
    store_channels_last(model)
    assert model[0].weight.stride() == (4 * 27, 1, 4 * 9, 4 * 3, 4)
    torch.testing.assert_close(model(volume), before)
