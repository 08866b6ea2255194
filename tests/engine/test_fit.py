"""A model and a data set that speak of different classes or voxels are stopped before anything starts."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import engine_toy
import pytest
import torch

from mmdet3d_plugin.apis import build_model
from mmdet3d_plugin.config import load_config
from mmdet3d_plugin.datasets import collate
from mmdet3d_plugin.datasets.labels import LABEL_SETS, label_set
from mmdet3d_plugin.engine import score_checkpoint
from mmdet3d_plugin.engine.checkpoint import saved_checkpoints
from mmdet3d_plugin.engine.fit import require_fit, require_trained_on
from mmdet3d_plugin.errors import ConfigError
from mmdet3d_plugin.registry import DATASETS, TRANSFORMS
from mmdet3d_plugin.structures import LABEL_SPACES, OPENOCC, SURROUNDOCC

BASES = Path(__file__).resolve().parents[2] / "configs" / "_base_"
OF_FILE = {
    "occ3d_nuscenes": "occ3d",
    "openocc": "openocc",
    "surroundocc": "surroundocc",
    "openoccupancy": "openoccupancy",
}


def write_config(folder: Path, dataset: str, model: str = "alocc_2d_mini_tiny") -> Path:
    path = folder / f"{dataset}.py"
    bases = [f"{BASES}/models/{model}.py", f"{BASES}/datasets/{dataset}.py", f"{BASES}/profiles/corrected.py"]
    path.write_text(f"_base_ = {bases!r}\n")
    return path


def model_and_data(path: Path, options: dict | None = None):
    cfg = load_config(path, options)
    with torch.device("meta"):
        model = build_model(cfg)
    labels = TRANSFORMS.build(cfg.train_dataloader.dataset.labels)
    return model, SimpleNamespace(label_space=labels.space, grid=labels.grid)


@pytest.mark.parametrize("dataset", OF_FILE)
def test_one_line_switches_the_labels(tmp_path, dataset):
    cfg = load_config(write_config(tmp_path, dataset))
    expected = label_set(OF_FILE[dataset])
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        built = TRANSFORMS.build(loader.dataset.labels)
        assert type(built) is LABEL_SETS[OF_FILE[dataset]][0]
        assert (built.grid, built.folder) == (expected.native_grid, expected.folder)
    assert cfg.label_space == expected.space.name
    assert cfg.model.network.head.labels == expected.space.name
    assert {loss.labels for loss in cfg.model.losses if "labels" in loss} == {expected.space.name}


@pytest.mark.parametrize("model", ["alocc_2d_mini_tiny", "bevdetocc"])
@pytest.mark.parametrize("dataset", ["occ3d_nuscenes", "openocc", "surroundocc"])
def test_the_model_follows_the_labels(tmp_path, dataset, model):
    built, data = model_and_data(write_config(tmp_path, dataset, model))
    require_fit(built, data)
    assert built.network.head.channels.space == data.label_space
    assert built.network.output_grid() == data.grid


@pytest.mark.parametrize("dataset", ["openocc", "surroundocc"])
def test_a_switched_config_trains_and_predicts(tiny_world, tmp_path, dataset):
    data = {"root": str(tiny_world), "version": "v1.0-mini", "image.size": (64, 176), "depth.semantics": True}
    cfg = load_config(
        write_config(tmp_path, dataset), {f"train_dataloader.dataset.{key}": value for key, value in data.items()}
    )
    samples = DATASETS.build(cfg.train_dataloader.dataset)
    model = build_model(cfg)
    require_fit(model, samples)
    batch = collate([samples[0]])
    losses = model(batch, mode="loss")
    assert all(torch.isfinite(value) for value in losses.values())
    with torch.inference_mode():
        labels = model.eval()(batch, mode="predict")
    assert labels.occupancy.shape == batch.targets.occupancy.shape
    assert labels.occupancy.max() < samples.label_space.num_classes


def test_another_label_space_is_refused(tmp_path):
    path = write_config(tmp_path, "openocc")
    for part, name in (("head", "network.head"), ("loss", "losses.0")):
        key = "model.network.head.labels" if part == "head" else "model.losses.0.labels"
        with pytest.raises(ConfigError, match="label space") as error:
            require_fit(*model_and_data(path, {key: "Occ3D-nuScenes"}))
        assert name in str(error.value)
        assert "found:    Occ3D-nuScenes: others, barrier" in str(error.value)
        assert "expected: OpenOcc: car, truck" in str(error.value)


def test_equal_numbers_of_classes_are_not_equal_labels(tmp_path):
    with pytest.raises(ConfigError, match=r"(?s)found: +Occ3D-nuScenes.*expected: SurroundOcc"):
        require_fit(*model_and_data(write_config(tmp_path, "surroundocc"), {"label_space": "Occ3D-nuScenes"}))


def test_another_box_is_refused(tmp_path):
    """The published SurroundOcc config of ALOcc-2D-mini had the grid of Occ3D (spec/data/defects F3)."""
    occ3d = {"lower": (-40.0, -40.0, -1.0), "upper": (40.0, 40.0, 5.4), "shape": (200, 200, 1)}
    options = {"model.network.view_transformer.grid": occ3d}
    with pytest.raises(ConfigError, match="covers another box") as error:
        require_fit(*model_and_data(write_config(tmp_path, "surroundocc"), options))
    assert "network.view_transformer (DepthSplat)" in str(error.value)
    assert "(-40.0, -40.0, -1.0)" in str(error.value)
    assert "(-50.0, -50.0, -5.0)" in str(error.value)


def test_other_voxels_of_the_same_box_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="predictions") as error:
        require_fit(*model_and_data(write_config(tmp_path, "openoccupancy")))
    assert "shape=(200, 200, 16)" in str(error.value)
    assert "shape=(512, 512, 40)" in str(error.value)


def test_weights_of_other_labels_are_refused():
    data = SimpleNamespace(label_space=OPENOCC)
    for meta in ({}, {"label_space": None}, {"label_space": "OpenOcc"}):
        require_trained_on(meta, data)
    with pytest.raises(ConfigError, match=r"(?s)found: +SurroundOcc.*expected: OpenOcc"):
        require_trained_on({"label_space": SURROUNDOCC.name}, data)


def test_training_does_not_start(training, tmp_path):
    status, text = training("run", model__losses=[{"type": "ToyLoss"}, {"type": "LovaszSoftmax", "num_voxels": 10}])
    assert status == [1]
    assert "the label space of losses.1 (LovaszSoftmax) is not the one of the data set" in text
    assert "Toy: road, car, free" in text
    assert "Traceback" not in text
    assert saved_checkpoints(tmp_path / "run") == []


@DATASETS.register_module()
class OtherToyDataset(engine_toy.ToyDataset):
    """The toy data with labels that a model for them does not know."""

    label_space = OPENOCC


def test_training_does_not_start_with_other_labels_in_validation(training, tmp_path, monkeypatch):
    monkeypatch.setitem(LABEL_SPACES, "Toy", engine_toy.SPACE)
    losses = [{"type": "ToyLoss"}, {"type": "LovaszSoftmax", "num_voxels": 10, "labels": "Toy"}]
    other = {"type": "OtherToyDataset"}
    status, text = training("run", model__losses=losses, train_cfg__val_every=24, val_dataloader__dataset=other)
    assert status == [1]
    assert "found:    Toy" in text
    assert "expected: OpenOcc" in text
    assert saved_checkpoints(tmp_path / "run") == []


def test_testing_does_not_start(config_file, tmp_path):
    cfg = load_config(config_file, {"model.losses": [{"type": "LovaszSoftmax", "num_voxels": 10}]})
    with pytest.raises(ConfigError, match="label space"):
        score_checkpoint(cfg, tmp_path / "never_read.pth", tmp_path / "result.json")
