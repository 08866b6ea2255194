"""Samples that lack files: named in the log and in the result, scored or left out, whatever the number of processes."""

from __future__ import annotations

from pathlib import Path

import engine_toy
import pytest
import torch
from engine_processes import run_processes
from mmengine.config import Config

from mmdet3d_plugin.apis import build_model
from mmdet3d_plugin.config import load_config
from mmdet3d_plugin.datasets.sample import Sample
from mmdet3d_plugin.engine import loaders, score_checkpoint
from mmdet3d_plugin.evaluation import format_result, read_result
from mmdet3d_plugin.registry import DATASETS

FAULTS = {"token001": (True, "image a.jpg is corrupt"), "token009": (False, "label file b.npz cannot be read")}


@DATASETS.register_module()
class HoledDataset(engine_toy.ToyDataset):
    """The toy world; one sample lacks an image, another one its labels."""

    def __getitem__(self, request: int | tuple[int, int]) -> Sample:
        sample = super().__getitem__(request)
        if sample.token in FAULTS:
            sample.usable, message = FAULTS[sample.token]
            sample.faults = (message,)
            if not sample.usable:
                sample.occupancy[:] = 255
        return sample


@pytest.fixture
def cfg(config_file: Path) -> Config:
    return load_config(config_file, {"test_dataloader.dataset.type": "HoledDataset"})


@pytest.fixture
def checkpoint(cfg: Config, tmp_path: Path) -> Path:
    torch.manual_seed(0)
    path = tmp_path / "weights.pth"
    torch.save({"state_dict": build_model(cfg).state_dict()}, path)
    return path


def test_the_result_names_them_and_leaves_out_what_has_no_labels(cfg, checkpoint, tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(loaders, "print_log", lambda message, **_: said.append(message))
    result = score_checkpoint(cfg, checkpoint, tmp_path / "result.json")
    assert result.protocol.frames == len(engine_toy.ToyDataset()) - 1
    assert read_result(tmp_path / "result.json").faults == {token: message for token, (_, message) in FAULTS.items()}
    assert "2 samples lacked files, first token001" in format_result(result)
    assert said == [
        "sample token001 lacks files, it is used without (1 samples so far): image a.jpg is corrupt",
        "sample token009 lacks files, it is not used (2 samples so far): label file b.npz cannot be read",
    ]
    whole = score_checkpoint(
        load_config(cfg.filename), checkpoint, tmp_path / "whole.json"
    )  # every sample there, nothing to report
    assert whole.protocol.frames == result.protocol.frames + 1
    assert whole.faults == {}
    assert "faults" not in (tmp_path / "whole.json").read_text()
    assert whole.protocol.token_hash != result.protocol.token_hash


def test_any_number_of_processes_finds_the_same(cfg, checkpoint, tmp_path):
    score_checkpoint(cfg, checkpoint, tmp_path / "one.json")

    def score(launcher: str) -> None:
        score_checkpoint(cfg, checkpoint, tmp_path / "three.json", launcher=launcher)

    status, text = run_processes(score, 3, tmp_path)
    assert status == [0, 0, 0], text
    assert (tmp_path / "three.json").read_bytes() == (tmp_path / "one.json").read_bytes()
