"""The worked example of `docs/adding_a_method.md` runs as it stands."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import torch

from mmdet3d_plugin.registry import MODELS
from mmdet3d_plugin.structures import CameraRig, Frame, FrameMeta, Volume, VoxelGrid

PAGE = Path(__file__).resolve().parents[1] / "docs" / "adding_a_method.md"


def frame(shift: float) -> Frame:
    eye = torch.eye(4)
    moved = eye.clone()
    moved[0, 3] = shift
    rig = CameraRig(eye[None, None], torch.eye(3)[None, None], torch.eye(3)[None, None], eye[None])
    meta = FrameMeta(torch.zeros(1).long(), torch.tensor([False]), moved[None], torch.zeros(1).double(), ("a",))
    return Frame(torch.zeros(1, 1, 3, 4, 4), rig, meta)


def test_the_temporal_fuser_of_the_page_averages_the_moved_past(tmp_path, monkeypatch):
    code = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)[0]
    (tmp_path / "worked_example.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.import_module("worked_example")
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
