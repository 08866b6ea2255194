"""The loader benchmark measures what it says, on the hand-made world."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from mmdet3d_plugin.config import load_config
from mmdet3d_plugin.datasets import DepthMaps, NuScenesOccDataset, SampleRequest
from mmdet3d_plugin.datasets.transforms import image as image_module
from mmdet3d_plugin.engine import loader_benchmark as module
from mmdet3d_plugin.engine.loader_benchmark import StepClock, count_bytes, loader_benchmark
from mmdet3d_plugin.engine.published_loading import PublishedPipeline
from mmdet3d_plugin.errors import ConfigError, DataError

sys.path.append(str(Path(__file__).resolve().parents[1] / "datasets"))
import handmade

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
STEREO = CONFIGS / "bevdetocc" / "bevdetocc_r50_256x704_bevdet_pretrain_solofusion_16f.py"
SIZE = (32, 88)
SMALL = {
    "train_dataloader.dataset.image.size": SIZE,
    "train_dataloader.dataset.image.resize": (-0.03, 0.055),  # of 1600 pixels, as published for 704
    "test_dataloader.dataset.image.size": SIZE,
}


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    return handmade.write(tmp_path_factory.mktemp("handmade") / "nuscenes")


@pytest.fixture
def cfg():
    return load_config(STEREO, SMALL)


def test_prints_what_it_measured(world, tmp_path, capsys):
    out = tmp_path / "loading.json"
    small = [f"{key}={first},{second}" for key, (first, second) in SMALL.items()]
    arguments = [str(STEREO), "--samples", "9", "--root", str(world), "--out", str(out), "--cfg-options", *small]
    assert module.main(arguments) == 0
    result = json.loads(capsys.readouterr().out)
    assert result == json.loads(out.read_text())
    for name, batch_size in (("train", 2), ("test", 1)):
        part = result[name]
        assert (part["source_images"], part["images"]) == ([6, 90, 160], [6, *SIZE])
        assert part["adjacent"]
        assert part["batch_size"] == batch_size
        assert part["samples"] >= 9
        ours, published = part["bit_equal"], part["published"]
        assert published["images_decoded_per_sample"] == 12
        assert 0 < ours["images_decoded_per_sample"] < 9  # fewer than 6: both lanes play the same few frames here
        pixels = 12 * 3 * SIZE[0] * SIZE[1] / 2**20
        assert published["mib_shipped_per_sample"] > 4 * pixels
        assert ours["mib_shipped_per_sample"] > pixels
        for setting in ("bit_equal", "fast", "published"):
            times = part[setting]["ms_per_sample"]
            assert 0 < times["min"] <= times["median"]
            assert part[setting]["samples_per_second_per_core"] == pytest.approx(1e3 / times["median"])
            assert sum(part[setting]["steps_ms"].values()) == pytest.approx(times["median"], rel=1)
        assert part["times_published"]["fast"] == pytest.approx(
            part["fast"]["samples_per_second_per_core"] / published["samples_per_second_per_core"]
        )
    assert "normalise" not in result["train"]["fast"]["steps_ms"]
    assert "points, depth maps" in result["train"]["fast"]["steps_ms"]
    assert "points, depth maps" not in result["test"]["fast"]["steps_ms"]


def test_other_pixels_are_found(world, cfg, monkeypatch):
    resize = image_module.resize_bicubic
    monkeypatch.setattr(image_module, "resize_bicubic", lambda *a: np.minimum(resize(*a), 254))
    with pytest.raises(DataError, match="not those of the published pipeline"):
        loader_benchmark(cfg, samples=1, root=world)


def test_impossible_requests_are_refused(cfg, tmp_path):
    with pytest.raises(ConfigError, match="needs samples"):
        loader_benchmark(cfg, samples=0)
    with pytest.raises(DataError, match="one version"):
        loader_benchmark(cfg, root=tmp_path)


def test_published_steps_and_ours_mean_the_same(world):
    """Depth maps and labels of the yardstick are those of the data set, in the published conventions."""
    arguments = handmade.config(world, depth={"type": "DepthMaps", "depth_range": (1.0, 45.0)}, scene=None)
    dataset = NuScenesOccDataset(**arguments)
    assert isinstance(dataset.depth, DepthMaps)
    ours, published = dataset[1], PublishedPipeline(dataset).load(SampleRequest(1, 0))
    same = np.isclose(ours.depth, published["gt_depth"].numpy(), atol=1e-3)
    assert same.mean() > 0.999
    assert (ours.depth > 0).sum() > 100
    shifted = np.where(ours.occupancy < 255, ours.occupancy + 1, 255)  # id 0 is unused there
    np.testing.assert_array_equal(published["gt_occupancy"].numpy(), shifted.transpose(1, 2, 0))


def test_bytes_of_everything():
    value = {"a": torch.zeros(3, 2), "b": [np.zeros(5, np.uint8), (torch.zeros(1, dtype=torch.bool), "text", None)]}
    assert count_bytes(value) == 24 + 5 + 1


def test_steps_within_steps_count_once(monkeypatch):
    now = iter([0.0, 1.0, 4.0, 10.0])
    monkeypatch.setattr(module.time, "process_time", lambda: next(now))
    clock = StepClock()
    inner = clock.timed("inner", lambda: None)
    clock.timed("outer", inner)()
    assert dict(clock.seconds) == {"inner": 3.0, "outer": 7.0}
    assert clock.calls == {"inner": 1, "outer": 1}
