"""The worked example of `docs/adding_a_method.md` runs as it stands."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path

import torch

from mmdet3d_plugin.apis import build_model
from mmdet3d_plugin.config import load_config
from mmdet3d_plugin.registry import MODELS
from mmdet3d_plugin.structures import CameraRig, Frame, FrameMeta, Volume, VoxelGrid

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "adding_a_method.md"


def examples(folder: Path) -> tuple[str, str]:
    """The two code blocks of the page, a module (imported from `folder`) and a config."""
    module, config = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    if "worked_example" not in sys.modules:
        (folder / "worked_example.py").write_text(module)
        sys.path.insert(0, str(folder))
        importlib.import_module("worked_example")
        sys.path.remove(str(folder))
    return module, config


def frame(shift: float) -> Frame:
    eye = torch.eye(4)
    moved = eye.clone()
    moved[0, 3] = shift
    rig = CameraRig(eye[None, None], torch.eye(3)[None, None], torch.eye(3)[None, None], eye[None])
    meta = FrameMeta(torch.zeros(1).long(), torch.tensor([False]), moved[None], torch.zeros(1).double(), ("a",))
    return Frame(torch.zeros(1, 1, 3, 4, 4), rig, meta)


def test_a_temporal_fuser_takes_no_more_than_40_lines(tmp_path):
    assert len(examples(tmp_path)[0].splitlines()) <= 40


def test_the_config_of_the_page_puts_the_fuser_into_a_model(tmp_path):
    text = examples(tmp_path)[1]
    (tmp_path / "config.py").write_text(text.replace("../synthetic", str(ROOT / "configs" / "synthetic")))
    with torch.device("meta"):
        model = build_model(load_config(tmp_path / "config.py"))
    assert type(model.network.temporal).__name__ == "RunningAverage"
    assert model.network.temporal.momentum == 0.5


def test_the_temporal_fuser_of_the_page_averages_the_moved_past(tmp_path):
    examples(tmp_path)
    fuser = MODELS.build({"type": "RunningAverage", "momentum": 0.25})
    grid = VoxelGrid((0, 0, 0), (4, 4, 2), (4, 4, 2))
    first = torch.arange(32.0).reshape(1, 1, 2, 4, 4)
    volume, memory = fuser(Volume(first, grid), frame(0.0), None)
    assert torch.equal(volume.features, first)
    second = torch.ones_like(first)
    volume, memory = fuser(Volume(second, grid), frame(1.0), memory)  # the vehicle drove one voxel along x
    past = torch.zeros_like(first)
    past[..., :-1] = first[..., 1:]
    torch.testing.assert_close(volume.features, 0.25 * past + 0.75 * second)
    assert memory.age.tolist() == [2]
