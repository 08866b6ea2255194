"""The metrics need numpy and torch only."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

SCRIPT = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"mmengine", "cv2", "numba", "scipy", "rich", "tqdm", "einops", "PIL", "triton"}:
            raise ModuleNotFoundError(f"blocked: {name}", name=name)

sys.meta_path.insert(0, Refuse())
import importlib.util
find_spec = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name in ("numba", "rich") else find_spec(name, package)

import torch
torch.set_num_threads(1)
from mmdet3d_plugin.evaluation import *
from mmdet3d_plugin.structures import OCC3D_NUSCENES, OccTargets, VoxelGrid
import mmdet3d_plugin.evaluation.golden

grid = VoxelGrid((-4.0, -4.0, -1.0), (4.0, 4.0, 0.6), (20, 20, 4))
labels = torch.full((1, *grid.zyx), 17, dtype=torch.uint8)
labels[:, 0] = 11
evaluator = OccupancyEvaluator(OCC3D_NUSCENES, grid, ("miou", "ray_iou"))
evaluator.update(labels, OccTargets(labels, ray_origins=(torch.zeros((1, 3), dtype=torch.float64),)), ["a"])
assert evaluator.compute()["RayIoU"] == 1, evaluator.compute()
protocol = Protocol.from_state(
    evaluator.state(), grid, dataset="none", synthetic=True, training_mask="none", profile="none"
)
assert "RayIoU" in format_result(make_result(evaluator.state(), protocol))
"""


def test_metrics_work_with_numpy_and_torch_alone():
    done = subprocess.run([sys.executable, "-c", SCRIPT], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_nothing_is_compiled_or_loaded_at_import():
    unwanted = "any(name in sys.modules for name in ('numba', 'rich', 'mmengine'))"
    script = f"import sys, mmdet3d_plugin.evaluation; sys.exit({unwanted})"
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT).returncode == 0
