"""Scoring a model: the numbers of its predictions in order, their protocol, controls, saved predictions."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import engine_toy
import numpy as np
import pytest
import torch

from mmdet3d_plugin.apis import OccupancyPredictor, build_model
from mmdet3d_plugin.config import load_config
from mmdet3d_plugin.datasets.collate import collate
from mmdet3d_plugin.engine import evaluate, images_of_another_scene, score_checkpoint
from mmdet3d_plugin.errors import CheckpointError, EvaluationError
from mmdet3d_plugin.evaluation import OccupancyEvaluator, read_prediction


@pytest.fixture
def model(config_file: Path) -> torch.nn.Module:
    torch.manual_seed(0)
    model = build_model(load_config(config_file))
    norm = model.network.encode[1]
    norm.running_mean.uniform_(-0.5, 0.5)
    return model


def evaluator(metrics: tuple[str, ...] = ("miou", "ray_iou")) -> OccupancyEvaluator:
    return OccupancyEvaluator(engine_toy.SPACE, engine_toy.GRID, metrics, "corrected")


def predictions(model: torch.nn.Module, dataset: engine_toy.ToyDataset) -> dict[str, torch.Tensor]:
    """What the model says when scenes are played in order, without the engine."""
    model.eval()
    model.reset_stream()
    with torch.no_grad():
        return {
            str(dataset.tokens[i]): model(collate([dataset[i]]), mode="predict").occupancy[0]
            for i in range(len(dataset))
        }


def test_scores_are_those_of_the_predictions_in_order(model):
    dataset, by_hand = engine_toy.ToyDataset(), evaluator()
    for index, (token, labels) in enumerate(predictions(model, dataset).items()):
        by_hand.update(labels[None], collate([dataset[index]]).targets, [token])
    result = evaluate(model, dataset, evaluator())
    assert result.metrics == by_hand.compute()
    assert 0.05 < result.metrics["mIoU@camera"] < 0.95
    assert sorted(result.state.tokens) == dataset.tokens.tolist()


def test_loader_processes_change_nothing(model):
    dataset = engine_toy.ToyDataset()
    assert evaluate(model, dataset, evaluator(), num_workers=2).metrics == evaluate(model, dataset, evaluator()).metrics


def test_training_stream_is_neither_seen_nor_disturbed(model):
    dataset = engine_toy.ToyDataset()
    model.train()
    model(collate([dataset[3], dataset[10]]), mode="tensor")
    before = model.stream
    result = evaluate(model, dataset, evaluator())
    assert model.training
    assert model.stream is before
    model.reset_stream()
    assert evaluate(model, dataset, evaluator()).metrics == result.metrics


def test_images_of_another_scene_replace_only_the_images(model):
    dataset = engine_toy.ToyDataset()
    donor_of = images_of_another_scene(dataset)
    donors = [donor_of(i) for i in range(len(dataset))]
    assert donors[:5] == [5, 6, 7, 7, 7]  # five frames, fed by a scene of three
    assert donors[12:] == [0, 1, 2, 3, 4, 4]
    assert all(dataset.scene[d] != dataset.scene[i] for i, d in enumerate(donors))
    by_hand = evaluator()
    model.eval()
    model.reset_stream()
    for index in range(len(dataset)):
        sample = dataclasses.replace(dataset[index], images=dataset[donor_of(index)].images)
        batch = collate([sample])
        with torch.no_grad():
            labels = model(batch, mode="predict")
        by_hand.update(labels.occupancy, batch.targets, [sample.token])
    found = evaluate(model, dataset, evaluator(), images_from=donor_of).metrics
    assert found == by_hand.compute()
    assert found != evaluate(model, dataset, evaluator()).metrics


def test_images_of_another_scene_need_another_scene():
    with pytest.raises(EvaluationError, match="at least two scenes"):
        images_of_another_scene(engine_toy.ToyDataset(lengths=(4,)))


def test_checkpoint_is_scored_with_its_protocol_and_saved_predictions(training, config_file, tmp_path):
    assert training("run", train_cfg__samples=24)[0] == [0]
    cfg = load_config(config_file)
    folder = tmp_path / "predictions"
    result = score_checkpoint(cfg, tmp_path / "run", tmp_path / "result.json", save_dir=folder)
    written = json.loads((tmp_path / "result.json").read_text())
    assert written["metrics"] == result.metrics
    assert written["protocol"]["frames"] == 18
    assert written["protocol"]["synthetic"]
    assert written["protocol"]["profile"] == "corrected"
    predictor = OccupancyPredictor(cfg, tmp_path / "run" / "latest", device="cpu")
    dataset = engine_toy.ToyDataset(seed=1)
    for index, token in enumerate(dataset.tokens):
        frame = collate([dataset[index]]).frames[0]
        saved = read_prediction(folder / dataset.scene_names[index] / f"{token}.npz")
        assert torch.equal(predictor(frame).occupancy[0], saved.occupancy)
    assert len(list(folder.rglob("*.npz"))) == 18
    shuffled = score_checkpoint(cfg, tmp_path / "run", tmp_path / "control.json", shuffle_images=True)
    assert shuffled.metrics != result.metrics


def test_checkpoint_of_another_model_is_refused(training, config_file, tmp_path):
    assert training("run", train_cfg__samples=12)[0] == [0]
    cfg = load_config(config_file, {"model.network.width": 16})
    with pytest.raises(CheckpointError, match="belongs to another model") as error:
        score_checkpoint(cfg, tmp_path / "run", tmp_path / "result.json")
    assert "model.pth" in str(error.value)
    assert not (tmp_path / "result.json").exists()
    status, text = training("run", resume=True, model__network__width=16)
    assert status == [1]
    assert "a checkpoint of another model" in text


def test_predictor_resets(model, config_file, tmp_path):
    dataset = engine_toy.ToyDataset()
    torch.save({"state_dict": model.state_dict()}, tmp_path / "weights.pth")
    predictor = OccupancyPredictor(config_file, tmp_path / "weights.pth")
    frames = [collate([dataset[i]]).frames[0] for i in (1, 2)]
    alone = predictor(frames[1]).occupancy
    predictor.reset()
    predictor(frames[0])
    after = predictor(frames[1]).occupancy
    predictor.reset()
    assert torch.equal(predictor(frames[1]).occupancy, alone)
    assert not torch.equal(after, alone)
    assert alone.dtype == torch.uint8
    assert np.isin(alone.numpy(), (0, 1, 2)).all()
