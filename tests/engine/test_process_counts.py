"""One checkpoint, any number of processes: the same bytes, each sample once, predictions in one folder."""

from __future__ import annotations

import dataclasses
import importlib
from pathlib import Path
from types import SimpleNamespace

import engine_toy
import numpy as np
import pytest
import torch
from engine_processes import run_processes
from mmengine.config import Config

from mmdet3d_plugin.apis import build_model
from mmdet3d_plugin.config import load_config
from mmdet3d_plugin.datasets.sample import Sample
from mmdet3d_plugin.datasets.samplers import SceneShardSampler
from mmdet3d_plugin.engine import evaluate, score_checkpoint, scoring
from mmdet3d_plugin.engine.distributed import init_processes, rank
from mmdet3d_plugin.errors import EvaluationError
from mmdet3d_plugin.evaluation import EvaluationState, OccupancyEvaluator, merge_states, read_result, write_result
from mmdet3d_plugin.registry import DATASETS, MODELS
from mmdet3d_plugin.structures import OccLabels, OccPrediction

METRICS = ("miou", "ray_iou", "flow", "challenge")
FLOATS = ("flow_voxel_error", "flow_ray_error", "flow_matched_error", "challenge_error")


@DATASETS.register_module()
class FlowDataset(engine_toy.ToyDataset):
    """The toy world in motion, the second scene a million times faster: sums of its speeds depend on their order."""

    label_space = dataclasses.replace(engine_toy.SPACE, flow=(0, 1))

    def __getitem__(self, request: int | tuple[int, int]) -> Sample:
        sample = super().__getitem__(request)
        exponents = np.random.default_rng((0, int(sample.token[-3:]))).uniform(-4, -2, (2, 2, 4, 4))
        sample.flow = (10.0 ** (exponents + 6 * (sample.sequence_id == 1))).astype(np.float32)
        return sample


class FlowHead(engine_toy.ToyHead):
    """Decodes logits, and almost no flow from them."""

    def decode(self, prediction: OccPrediction) -> OccLabels:
        return OccLabels(super().decode(prediction).occupancy, 1e-9 * prediction.logits[:, :2])


@MODELS.register_module()
class FlowNetwork(engine_toy.ToyNetwork):
    """The toy network with flow."""

    def __init__(self, width: int = 8):
        super().__init__(width)
        self.head = FlowHead()


@pytest.fixture
def cfg(config_file: Path) -> Config:
    options = {
        "model.network.type": "FlowNetwork",
        "test_dataloader.dataset.type": "FlowDataset",
        "evaluation.metrics": METRICS,
    }
    return load_config(config_file, options)


@pytest.fixture
def checkpoint(cfg: Config, tmp_path: Path) -> Path:
    torch.manual_seed(0)
    model = build_model(cfg)
    model.network.encode[1].running_mean.uniform_(-0.5, 0.5)
    path = tmp_path / "weights.pth"
    torch.save({"state_dict": model.state_dict()}, path)
    return path


@pytest.mark.parametrize("processes", [2, 3, 5, 7])  # four scenes: of five and seven processes some are idle
def test_any_number_of_processes_writes_the_same_bytes(cfg, checkpoint, tmp_path, processes):
    expected = score_checkpoint(cfg, checkpoint, tmp_path / "one.json")
    assert expected.protocol.frames == 18
    assert 0.05 < expected.metrics["mIoU@camera"] < 0.95
    assert 0.05 < expected.metrics["RayIoU"] < 0.95
    assert all(expected.counts[name].any() for name in FLOATS)

    def score(launcher: str) -> None:
        result = score_checkpoint(cfg, checkpoint, tmp_path / "many.json", launcher=launcher)
        write_result(tmp_path / f"process_{rank()}.json", result)

    status, text = run_processes(score, processes, tmp_path)
    assert status == [0] * processes, text
    for name in ("many", *(f"process_{number}" for number in range(processes))):
        found = read_result(tmp_path / f"{name}.json")
        assert {k: v.tobytes() for k, v in found.counts.items()} == {k: v.tobytes() for k, v in expected.counts.items()}
        assert (tmp_path / f"{name}.json").read_bytes() == (tmp_path / "one.json").read_bytes()


def test_sums_of_errors_would_differ_if_each_process_added_up_its_own(cfg, checkpoint, tmp_path, monkeypatch):
    """Else the test above could not fail."""
    scenes: list[EvaluationState] = []
    module = importlib.import_module("mmdet3d_plugin.engine.evaluate")
    monkeypatch.setattr(module, "merge_states", lambda states: scenes.extend(states) or merge_states(states))
    in_order = score_checkpoint(cfg, checkpoint, tmp_path / "result.json").counts
    dataset = FlowDataset()
    for processes in (2, 3, 5, 7):
        samplers = [SceneShardSampler(dataset.sequences, number, processes) for number in range(processes)]
        shares = [sorted(set(dataset.scene[sampler.indices])) for sampler in samplers if len(sampler)]
        by_process = merge_states([merge_states([scenes[i] for i in share]) for share in shares]).counts
        differ = {name for name, value in in_order.items() if value.tobytes() != by_process[name].tobytes()}
        assert differ
        assert differ <= set(FLOATS)


def test_weights_of_process_0_count(cfg, checkpoint, tmp_path):
    expected = score_checkpoint(cfg, checkpoint, tmp_path / "one.json")
    weights = torch.load(checkpoint)["state_dict"]
    torch.save({"state_dict": {name: torch.zeros_like(value) for name, value in weights.items()}}, tmp_path / "0.pth")

    def score(launcher: str) -> None:
        init_processes(launcher)
        score_checkpoint(cfg, tmp_path / "0.pth" if rank() else checkpoint, tmp_path / "two.json")

    status, text = run_processes(score, 2, tmp_path)
    assert status == [0, 0], text
    assert read_result(tmp_path / "two.json").metrics == expected.metrics


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ((0, 1), "2 samples were scored more than once\n  found:    token000, token001"),
        ((17, 17), "frame token017 is not later than frame token017 before it in its sequence"),
        (None, "6 missing: token012, token013, token014, token015, token016 and 1 more"),
    ],
)
def test_missing_and_repeated_samples_are_named(cfg, tmp_path, processes, extra, message):
    """A sampler that plays frames of one scene in a second one, a frame twice in a row, or a scene not at all."""
    dataset = FlowDataset()
    dataset.sequences = dataset.sequences[:3] if extra is None else (*dataset.sequences, np.array(extra))
    evaluator = OccupancyEvaluator(dataset.label_space, dataset.grid, METRICS, "corrected")

    def score(launcher: str) -> None:
        init_processes(launcher)
        evaluate(build_model(cfg), dataset, evaluator)

    status, text = run_processes(score, processes, tmp_path)
    assert 1 in status
    assert any(message in log.read_text() for log in tmp_path.glob("process_*.log")), text


def test_one_process_names_the_folder_of_predictions(cfg, checkpoint, tmp_path):
    def score(launcher: str) -> None:
        init_processes(launcher)
        scoring.time = SimpleNamespace(strftime=lambda _: f"clock-of-{rank()}")
        score_checkpoint(cfg, checkpoint, tmp_path / "toy" / "result.json", save_dir=True)

    status, text = run_processes(score, 3, tmp_path)
    assert status == [0] * 3, text
    (folder,) = (tmp_path / "toy" / "predictions").iterdir()
    assert folder.name == "clock-of-0"
    dataset = FlowDataset()
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert files == {f"{scene}/{token}.npz" for scene, token in zip(dataset.scene_names, dataset.tokens)}


def test_predictions_of_two_runs_are_not_mixed(cfg, checkpoint, tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(scoring.MMLogger, "get_instance", lambda _: SimpleNamespace(info=said.append))
    monkeypatch.setattr(scoring, "time", SimpleNamespace(strftime=lambda _: "now"))
    score_checkpoint(cfg, checkpoint, tmp_path / "result.json", save_dir=True)
    assert said[0].endswith(f"; predictions in {tmp_path}/predictions/now")
    with pytest.raises(EvaluationError, match=r"(?s)predictions/now .*cannot be made.*File exists.*start again"):
        score_checkpoint(cfg, checkpoint, tmp_path / "result.json", save_dir=True)
