"""Speed and operations without data."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from mmdet3d_plugin.config import load_config
from mmdet3d_plugin.engine import benchmark as benchmark_module
from mmdet3d_plugin.engine.benchmark import benchmark
from mmdet3d_plugin.engine.flops import count_flops, format_flops

CONFIG = Path(__file__).resolve().parents[2] / "configs" / "synthetic" / "alocc_2d_mini_tiny.py"
STAGES = {"image_encoder", "view_transformer", "volume_stem", "temporal", "volume_encoder", "head"}


@pytest.fixture
def cfg():
    return load_config(CONFIG, {"test_dataloader.dataset.root": "data/none"})


def test_benchmark_runs_on_random_weights_without_data(cfg, tmp_path, capsys):
    out = tmp_path / "speed.json"
    assert benchmark_module.main([str(CONFIG), "--frames", "2", "--warm-up", "1", "--out", str(out)]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result == json.loads(out.read_text())
    assert result["dtype"] == "float32"
    assert set(result["stages_ms"]) == STAGES | {"preprocessor"}
    speed = result["without_loading"]
    assert speed["p95_ms"] >= speed["p50_ms"] > 0
    assert speed["fps"] == pytest.approx(1e3 / speed["p50_ms"], rel=0.5)
    assert sum(result["stages_ms"].values()) == pytest.approx(speed["p50_ms"], rel=0.6)
    assert result["peak_memory_mib"] > 10


def test_benchmark_says_why_loading_was_not_measured(cfg):
    result = benchmark(cfg, frames=1, warm_up=1, amp=True, device="cpu")
    assert result["with_loading"] == {"measured": False, "reason": "data set folder data/none does not exist"}
    assert result["dtype"] == "bfloat16 autocast"


def test_flops_of_the_stages_add_up():
    cfg = load_config(CONFIG)
    result = count_flops(cfg, (64, 160))
    assert set(result["stages"]) == STAGES
    assert result["total"]["flop"] == sum(stage["flop"] for stage in result["stages"].values())
    assert result["total"]["flop"] == 2 * result["total"]["mac"]
    text = format_flops(result)
    assert "MAC" in text
    assert "FLOP" in text


def test_flops_grow_with_the_images():
    cfg = load_config(CONFIG)
    small, large = (count_flops(cfg, shape)["stages"]["image_encoder"]["mac"] for shape in ((64, 160), (128, 320)))
    assert large == 4 * small


def test_example_frames_see_the_grid():
    from mmdet3d_plugin.engine.example import example_frame

    frame = example_frame(load_config(CONFIG), 1, (64, 160))
    ahead = torch.tensor([[[10.0, 0.0, 1.5]]])
    pixels, depth = frame.rig.project(ahead)
    torch.testing.assert_close(pixels[0, 0, 0], torch.tensor([80.0, 32.0]))
    assert depth[0, 0, 0] == pytest.approx(10.0)
    assert (depth[0, 2:5, 0] < 0).all()
