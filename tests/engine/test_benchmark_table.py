"""Speed and memory of several models side by side."""

from __future__ import annotations

import json
import subprocess
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from mmdet3d_plugin.config import load_config
from mmdet3d_plugin.engine import benchmark, benchmark_table
from mmdet3d_plugin.engine.benchmark_table import PUBLISHED_MEMORY, PeakMemory, measure, table
from mmdet3d_plugin.engine.example import example_frame, example_stream
from mmdet3d_plugin.structures import StreamOrder

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
TINY = CONFIGS / "synthetic" / "alocc_2d_mini_tiny.py"
MINI = "alocc_2d_mini_r50_256x704_bevdet_preatrain_16f"
RESULT = {
    "config": MINI, "device": "a CPU", "on_gpu": False, "threads": 2, "torch": "2.13", "images": [6, 3, 256, 704],
    "parameters": 36_228_096, "weights": "random", "frames": 3, "warm_up": 1,
    "float32": {"fps": 0.51234, "peak_mib": 1234.4}, "bfloat16": {"fps": 1.2, "peak_mib": 900.0},
    "labels_equal": 0.98765,
}  # fmt: skip


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="measured on Linux only")
class TestPeakMemory:
    CPU = torch.device("cpu")
    EMPTY = nn.Module()

    def test_counts_what_is_allocated_and_freed_again(self):
        memory = PeakMemory(self.CPU, self.EMPTY)
        block = np.ones(200 * 2**17)  # 200 MiB
        del block
        assert memory.mib() == pytest.approx(200, abs=25)

    def test_counts_from_its_construction_on(self):
        block = np.ones(200 * 2**17)
        memory = PeakMemory(self.CPU, self.EMPTY)
        assert memory.mib() < 25
        del block

    def test_counts_the_weights(self):
        weights = nn.Linear(2**18 - 1, 50)  # 50 MiB
        assert PeakMemory(self.CPU, weights).mib() == pytest.approx(50, abs=25)

    def test_room_that_was_freed_before_counts_as_new(self):
        blocks = [torch.ones(2**14) for _ in range(2000)]  # small enough to stay in the heap when they are freed
        del blocks
        memory = PeakMemory(self.CPU, self.EMPTY)
        blocks = [torch.ones(2**14) for _ in range(2000)]
        assert memory.mib() == pytest.approx(125, abs=25)
        del blocks


def test_a_model_is_measured_in_both_types():
    cfg = load_config(TINY)
    for stage in (cfg.model.network.view_transformer, cfg.model.network.temporal):
        stage.grid.shape = (40, 40, 1)
    result = measure(cfg, frames=2, warm_up=1, device="cpu")
    assert (result["config"], result["images"], result["weights"]) == (TINY.stem, [6, 3, 128, 352], "random")
    assert 0.3 < result["labels_equal"] <= 1.0
    for dtype in ("float32", "bfloat16"):
        assert result[dtype]["fps"] > 0
        assert result[dtype]["peak_mib"] > 1
    assert json.loads(json.dumps(result)) == result


def test_a_row_states_the_published_memory_where_it_is_known():
    text = table([RESULT, {**RESULT, "config": "own"}], {"broken": "OutOfMemoryError: no"})
    first, second = text.splitlines()[2:4]
    assert first == f"| {MINI} | 6 x 256 x 704 | 36.2 M | 0.512 | 1234 | 1.2 | 900 | 98.77 % | 1605 |"
    assert second.endswith("| 98.77 % | - |")
    assert "broken could not be measured: OutOfMemoryError: no" in text
    assert "growth of the resident memory over the loaded model" in text
    assert "the GPU memory allocated at most" in table([{**RESULT, "on_gpu": True}], {})


def test_published_memory_is_of_shipped_configs():
    assert {path.stem for path in CONFIGS.glob("*/*.py")} >= PUBLISHED_MEMORY.keys()


def test_one_process_for_each_config_and_failures_do_not_hide_others(monkeypatch, tmp_path, capsys):
    commands = []

    def run(command, **options):
        commands.append(command)
        if "bad" in command[3]:
            return subprocess.CompletedProcess(command, 1, "", "Traceback\nValueError: broken\n")
        return subprocess.CompletedProcess(command, 0, f"noise\n{json.dumps(RESULT)}\n", "")

    monkeypatch.setattr(benchmark_table.subprocess, "run", run)
    out = tmp_path / "table.md"
    options = ["--frames", "3", "--warm-up", "1", "--device", "cpu", "--out", str(out)]
    assert benchmark.main(["--table", "bad.py", "good.py", *options]) == 1
    assert [command[3] for command in commands] == ["bad.py", "good.py"]
    assert commands[0][4:] == ["--frames", "3", "--warm-up", "1", "--device", "cpu"]
    printed = capsys.readouterr().out
    page = out.read_text()
    assert page.endswith(printed)
    assert "benchmark.py --frames 3 --warm-up 1 --device cpu --table \\\n    bad.py \\\n    good.py\n" in page
    assert "bad could not be measured: ValueError: broken" in printed
    assert MINI in printed
    commands.clear()
    assert benchmark.main(["--all", "--frames", "1"]) == 0
    stems = {Path(command[3]).stem for command in commands}
    assert len(stems) == 20
    assert not {stem for stem in stems if stem.endswith(("_wo_mask", "_corrected", "_tiny"))}


def test_something_must_be_named(capsys):
    with pytest.raises(SystemExit):
        benchmark.main([])
    assert "name a config" in capsys.readouterr().err


def test_the_stream_of_examples_never_restarts():
    cfg = load_config(TINY)
    order, frames = StreamOrder(), list(islice(example_stream(cfg, (32, 64)), 7))
    for frame in frames:
        order.check(frame)
    assert [bool(frame.meta.starts_sequence) for frame in frames] == [True] + [False] * 6
    assert torch.equal(frames[1].images, frames[5].images)
    assert not torch.equal(frames[1].images, frames[2].images)


@pytest.mark.parametrize(("config", "cameras"), [("waymo_tiny", 5), ("four_cameras_tiny", 4), ("tiny", 6)])
def test_examples_have_the_cameras_of_the_vehicle(config, cameras):
    frame = example_frame(load_config(CONFIGS / "synthetic" / f"alocc_2d_mini_{config}.py"), 1, (32, 64))
    assert frame.images.shape[1] == frame.rig.num_cameras == cameras
