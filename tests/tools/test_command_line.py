"""The commands that users type, in processes of their own."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mmdet3d_plugin import cli
from mmdet3d_plugin.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]
TOY = ROOT / "tests" / "engine"
ENVIRONMENT = {
    **os.environ,
    "PYTHON": sys.executable,
    "PYTHONPATH": f"{ROOT}{os.pathsep}{TOY}",
    "OMP_NUM_THREADS": "1",
    "CUDA_VISIBLE_DEVICES": "",
}


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    sys.path.insert(0, str(TOY))
    from engine_toy import CONFIG

    path = tmp_path / "toy.py"
    path.write_text(CONFIG)
    return path


def run(*command: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess:
    words = [str(word) for word in command]
    return subprocess.run(words, env=ENVIRONMENT, cwd=cwd, capture_output=True, text=True, timeout=120)


def raising(error: BaseException):
    def command() -> None:
        raise error

    return command


def test_guard_turns_errors_into_messages(capsys):
    assert cli.guard(lambda: None) == 0
    assert cli.guard(lambda: 3) == 3
    assert cli.guard(raising(ConfigError("no key 'a'", fix="write 'b'"))) == 1
    assert cli.guard(raising(OSError(errno.ENOSPC, "No space left on device"))) == 1
    assert cli.guard(raising(KeyboardInterrupt())) == 130
    messages = capsys.readouterr().err
    assert "error: no key 'a'\n  do this:  write 'b'\n" in messages
    assert "the disk is full" in messages
    assert "interrupted" in messages
    with pytest.raises(ZeroDivisionError):
        cli.guard(raising(ZeroDivisionError()))


def test_two_processes_train_and_score(config_file, tmp_path):
    """The promised commands on the CPU: two processes train and score, one scores to compare."""
    run_dir, short = tmp_path / "run", ("--cfg-options", "train_cfg.samples=16")
    done = run("bash", ROOT / "tools/dist_train.sh", config_file, run_dir, 2, *short)
    assert done.returncode == 0, done.stderr
    assert "global batch 4 = 2 processes x 2 streams" in done.stdout
    done = run("bash", ROOT / "tools/dist_test_ray.sh", config_file, run_dir, 2, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    by_two = json.loads((tmp_path / "work_dirs/toy/result_ray_iou.json").read_text())
    alone = tmp_path / "alone.json"
    words = ["test", str(config_file), str(run_dir), "--metrics", "ray_iou", "--out", str(alone)]
    assert cli.main(words) == 0
    assert json.loads(alone.read_text()) == by_two
    assert by_two["protocol"]["frames"] == 18
    assert any(name.startswith("RayIoU") for name in by_two["metrics"])


def test_misspelt_option_is_a_message_and_exit_status_1(config_file, tmp_path):
    done = run(
        "bash",
        ROOT / "tools/dist_train.sh",
        config_file,
        tmp_path,
        2,
        "--cfg-options",
        "model.network.widht=3",
    )
    assert done.returncode == 1
    assert "ToyNetwork takes no argument 'widht'" in done.stderr
    assert "did you mean 'width'" in done.stderr
    assert "Traceback" not in done.stderr


def test_ctrl_c_ends_with_130(config_file, tmp_path):
    command = [
        sys.executable,
        str(ROOT / "tools/train.py"),
        str(config_file),
        "--work-dir",
        str(tmp_path / "run"),
    ]
    child = subprocess.Popen(
        [*command, "--cfg-options", "train_cfg.samples=1000000"],
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not (tmp_path / "run" / "latest").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    child.send_signal(signal.SIGINT)
    _, errors = child.communicate(timeout=60)
    assert child.returncode == 130, errors
    assert "interrupted" in errors
    assert "Traceback" not in errors
    assert not list((tmp_path / "run" / "checkpoints").glob(".deleting_*/*.pth"))


def test_scripts_say_how_they_are_used():
    for name in ("dist_train", "dist_test", "dist_test_ray", "slurm_train", "slurm_test", "slurm_test_ray"):
        done = run("bash", ROOT / "tools" / f"{name}.sh")
        assert done.returncode == 2
        assert f"tools/{name}.sh" in done.stderr


def test_slurm_twin_asks_srun_for_one_process_per_gpu(tmp_path):
    srun = tmp_path / "srun"
    srun.write_text('#!/bin/sh\necho "$@"\n')
    srun.chmod(0o755)
    environment = {**ENVIRONMENT, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    command = ["bash", str(ROOT / "tools/slurm_train.sh"), "part", "job", "config.py", "out", "16", "--amp"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    for words in ("-p part", "--ntasks 16", "--ntasks-per-node 8", "--gres gpu:8", "--launcher slurm"):
        assert words in done.stdout
    assert "config.py --work-dir out --amp" in done.stdout


def test_doctor_reports_and_says_whether_the_demo_can_run(tmp_path, capsys, monkeypatch):
    assert cli.main(["doctor", "--folder", str(tmp_path)]) == 0
    text = capsys.readouterr().out
    for topic in ("python", "torch", "device", "ops", "data", "write", "disk", "the demo can run"):
        assert topic in text
    from mmdet3d_plugin.engine import doctor

    monkeypatch.setattr(doctor, "_DEMO_NEEDS", ("a_library_that_does_not_exist",))
    assert cli.main(["doctor", "--folder", str(tmp_path)]) == 1
    assert "missing: a_library_that_does_not_exist" in capsys.readouterr().out


def test_doctor_finds_data_and_folders_that_cannot_be_written(tmp_path, monkeypatch):
    from mmdet3d_plugin.engine import doctor

    tables = tmp_path / "data" / "nuscenes" / "v1.0-mini"
    tables.mkdir(parents=True)
    (tables / "sample.json").write_text("[]")
    (tables.parent / "gts").mkdir()
    found = {f.text: f.ok for f in doctor.examine(tmp_path) if f.topic == "data"}
    assert any("v1.0-mini; with gts" in text for text in found)

    def refuse(**kwargs):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(doctor.tempfile, "TemporaryFile", refuse)
    assert not any(f.ok for f in doctor.examine(tmp_path) if f.topic == "write")
