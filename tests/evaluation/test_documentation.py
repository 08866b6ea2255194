"""The five lines of docs/metrics.md score a folder of foreign predictions."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import torch

from mmdet3d_plugin.evaluation import OccupancyEvaluator, read_prediction
from mmdet3d_plugin.structures import OCC3D_NUSCENES, OccTargets, VoxelGrid

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "metrics.md"


def test_foreign_predictions_are_scored_as_documented(tmp_path, monkeypatch, capsys):
    code = re.search(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL).group(1)
    shape = (200, 200, 16)
    truth = np.full(shape, 17, np.uint8)
    truth[:, :, 0], truth[50, 60, 3] = 11, 4
    prediction = truth.copy()
    prediction[50, 60, 3] = 17
    for name, arrays in {
        "predictions/scene-0001/abc.npz": {"arr_0": prediction},
        "gts/scene-0001/abc/labels.npz": {"semantics": truth, "mask_camera": np.ones(shape, np.uint8)},
    }.items():
        (tmp_path / name).parent.mkdir(parents=True)
        np.savez_compressed(tmp_path / name, **arrays)
    monkeypatch.chdir(tmp_path)
    names = {
        "OccupancyEvaluator": OccupancyEvaluator,
        "read_prediction": read_prediction,
        "OCC3D_NUSCENES": OCC3D_NUSCENES,
        "OccTargets": OccTargets,
        "VoxelGrid": VoxelGrid,
        "Path": Path,
        "np": np,
        "torch": torch,
    }
    exec(code, names)
    assert names["evaluator"].compute()["mIoU@camera"] == 0.5  # road right, car missed
    assert "mIoU@camera" in capsys.readouterr().out
