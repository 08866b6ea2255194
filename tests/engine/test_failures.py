"""What goes wrong around a training: a clear message, an exit status, nothing lost."""

from __future__ import annotations

import errno
import subprocess
import sys

import pytest
import torch

from mmdet3d_plugin.engine.checkpoint import saved_checkpoints

HOLD_LOCK = """
import fcntl, pathlib, sys
folder = pathlib.Path(sys.argv[1])
folder.mkdir()
file = open(folder / ".lock", "w")
fcntl.lockf(file, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


def test_full_disk_while_saving_keeps_older_checkpoints(training, tmp_path, monkeypatch):
    save, calls = torch.save, []

    def full(content, file):
        calls.append(file)
        if len(calls) > 6:  # two checkpoints of three files fit
            file.write(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")
        save(content, file)

    monkeypatch.setattr(torch, "save", full)
    status, text = training("run")
    assert status == [1]
    assert "samples_000000036 could not be written" in text
    assert "No space left on device" in text
    assert "--resume" in text
    assert "Traceback" not in text
    kept = saved_checkpoints(tmp_path / "run")
    assert [p.name for p in kept] == ["samples_000000012", "samples_000000024"]
    assert not list((tmp_path / "run" / "checkpoints").glob(".writing_*"))
    for path in (tmp_path / "run" / "latest").iterdir():
        torch.load(path, weights_only=True)
    monkeypatch.undo()
    assert training("run", resume=True)[0] == [0]


def test_full_disk_of_one_process_ends_all_of_them(training, tmp_path, monkeypatch):
    save = torch.save

    def full(content, file):
        if "rank_1" in file.name:
            raise RuntimeError("PytorchStreamWriter failed writing file data/2: file write failed")
        save(content, file)

    monkeypatch.setattr(torch, "save", full)
    status, text = training("run", processes=2)
    assert status[0] == 1
    assert "file write failed" in text
    assert "none was written yet" in text
    assert saved_checkpoints(tmp_path / "run") == []


@pytest.mark.parametrize(("step", "when", "kept"), [(4, "interrupt", [12]), (6, "interrupt save", [12, 24])])
def test_interrupt_leaves_nothing_half_written(training, tmp_path, step, when, kept):
    status, text = training("run", hooks={"strike": {"type": "Strike", "step": step, "when": when}})
    assert status == [130]
    assert "interrupted" in text
    assert "Traceback" not in text
    checkpoints = tmp_path / "run" / "checkpoints"
    assert sorted(p.name for p in checkpoints.iterdir()) == [f"samples_{samples:09d}" for samples in kept]


@pytest.mark.parametrize("workers", [0, 1])
def test_unreadable_sample_is_named(training, workers):
    status, text = training("run", train_dataloader__num_workers=workers, train_dataloader__dataset__broken=6)
    assert status == [1]
    assert "image of sample token006 is truncated" in text
    assert "Traceback" not in text


def test_defect_in_a_sample_keeps_its_traceback_and_names_the_sample(training):
    dataset = {"train_dataloader__dataset__broken": 6, "train_dataloader__dataset__crash": True}
    status, text = training("run", train_dataloader__num_workers=1, **dataset)
    assert status == [1]
    assert "token006" in text
    assert "ZeroDivisionError" in text


def test_more_processes_than_streams_is_refused(training):
    status, text = training("run", processes=3)
    assert 1 in status
    assert "a global batch of 4 cannot be split over 3 processes" in text
    assert "[1, 2, 4]" in text


def test_infinite_loss_ends_the_training(training, tmp_path):
    status, text = training("run", optim_wrapper__optimizer__lr=float("inf"))
    assert status == [1]
    assert "the loss is nan" in text


def test_two_trainings_cannot_share_a_work_dir(training, tmp_path):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD_LOCK, str(tmp_path / "run")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdout.readline() == b"held\n"
    status, text = training("run", resume=True)
    assert status == [1]
    assert "another process is training into" in text
    holder.kill()
    holder.wait()
    assert training("run", resume=True)[0] == [0]
