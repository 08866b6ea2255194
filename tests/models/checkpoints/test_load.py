"""Reading checkpoint files."""

from __future__ import annotations

from collections import OrderedDict

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from mmdet3d_plugin.errors import CheckpointError
from mmdet3d_plugin.models.checkpoints import load as load_module
from mmdet3d_plugin.models.checkpoints import load_checkpoint
from mmdet3d_plugin.models.checkpoints.key_map import KeyTable, Rename


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.network = nn.Linear(2, 3)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.pth"


def test_a_checkpoint_of_our_own_returns_its_weights_and_meta(path):
    source, target = Model(), Model()
    torch.save({"state_dict": source.state_dict(), "meta": {"samples": 7}}, path)
    assert load_checkpoint(target, path).meta == {"samples": 7}
    torch.testing.assert_close(target.network.weight, source.network.weight)


def test_a_bare_network_takes_the_weights_of_a_model(path):
    source, target = Model(), nn.Linear(2, 3)
    torch.save(source.state_dict(), path)
    assert load_checkpoint(target, path).meta == {}
    torch.testing.assert_close(target.weight, source.network.weight)


def test_a_published_file_is_recognised_and_converted(path, monkeypatch):
    table = KeyTable("toy", "fc.", (Rename(r"fc\.(.*)", r"\1"),))
    monkeypatch.setattr(load_module, "TABLES", (table,))
    source, target = nn.Linear(2, 3), Model()
    torch.save({"state_dict": {f"fc.{k}": v for k, v in source.state_dict().items()}, "optimizer": {}}, path)
    loaded = load_checkpoint(target, path)
    assert (loaded.method, loaded.dropped) == ("toy", {})
    torch.testing.assert_close(target.network.weight, source.weight)


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda state: {
            "meta": {"epoch": 24, "mmcv_version": "1.7.0", "CLASSES": ("car",)},
            "state_dict": OrderedDict(state),
        },
        lambda state: {"epoch": 24, "state_dict": OrderedDict(state), "updates": 96060},  # averaged weights
        lambda state: {"state_dict": {f"module.{key}": tensor for key, tensor in state.items()}},
        lambda state: OrderedDict(state),
    ],
    ids=["mmcv", "ema", "data_parallel", "bare"],
)
def test_every_layout_of_published_files_is_read(path, wrapped, monkeypatch):
    monkeypatch.setattr(load_module, "TABLES", (KeyTable("toy", "fc.", (Rename(r"fc\.(.*)", r"\1"),)),))
    source, target = nn.Linear(2, 3), Model()
    torch.save(wrapped({f"fc.{key}": tensor for key, tensor in source.state_dict().items()}), path)
    assert load_checkpoint(target, path).method == "toy"
    torch.testing.assert_close(target.network.weight, source.weight)


def test_a_checkpoint_of_another_model_lists_what_differs(path):
    torch.save({"state_dict": nn.Linear(2, 4).state_dict() | {"extra": torch.zeros(1)}}, path)
    with pytest.raises(CheckpointError) as error:
        load_checkpoint(nn.Linear(2, 3), path)
    assert "1 of its tensors are not in the model: extra" in str(error.value)
    assert "weight: (4, 2), model (3, 2)" in str(error.value)


def test_a_missing_file_is_named(path):
    with pytest.raises(CheckpointError, match=r"model\.pth does not exist"):
        load_checkpoint(Model(), path)


@pytest.mark.parametrize("kept", [0, 10, 0.5, 0.95])
def test_a_truncated_file_is_named(path, kept):
    torch.save({"state_dict": Model().state_dict()}, path)
    content = path.read_bytes()
    path.write_bytes(content[: kept if isinstance(kept, int) else int(len(content) * kept)])
    with pytest.raises(CheckpointError, match=r"model\.pth (cannot be read|is refused)"):
        load_checkpoint(Model(), path)


class Payload:
    """Something that a plain unpickler would have to import code for."""


def test_a_file_that_needs_code_is_refused_with_the_way_out(path):
    torch.save({"state_dict": Model().state_dict(), "meta": Payload()}, path)
    with pytest.raises(CheckpointError, match="would run code") as error:
        load_checkpoint(Model(), path)
    assert f"it asks for {Payload.__module__}.Payload" in str(error.value)
    assert "state_dict" in str(error.value)


def test_a_file_of_an_unknown_method_is_told_apart_from_another_variant_of_ours(path):
    torch.save({"pts_bbox_head.weight": torch.zeros(1)}, path)
    with pytest.raises(CheckpointError, match=r"none of its keys is ours; published checkpoints are known of ALOcc"):
        load_checkpoint(Model(), path)
    torch.save({"network.weight": torch.zeros(3, 2)}, path)
    with pytest.raises(CheckpointError, match=r"(?s)not in it: network\.bias.*config that the checkpoint was trained"):
        load_checkpoint(Model(), path)


def test_a_safetensors_file_returns_its_weights_and_card(tmp_path):
    source, target = Model(), Model()
    path = tmp_path / "model.safetensors"
    save_file(source.state_dict(), path, {"occstudio": '{"label_space": "OpenOcc"}'})
    assert load_checkpoint(target, path).meta == {"label_space": "OpenOcc"}
    torch.testing.assert_close(target.network.weight, source.network.weight)
    save_file(source.state_dict(), path)
    assert load_checkpoint(target, path).meta == {}


@pytest.mark.parametrize("share", [0, 0.1, 0.9])
def test_a_truncated_safetensors_file_is_named(tmp_path, share):
    path = tmp_path / "model.safetensors"
    save_file(Model().state_dict(), path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(CheckpointError, match=r"model\.safetensors cannot be read"):
        load_checkpoint(Model(), path)


@pytest.mark.parametrize("content", [{"epoch": 3}, {"state_dict": {}}, [1, 2]])
def test_a_file_without_weights_is_refused(path, content):
    torch.save(content, path)
    with pytest.raises(CheckpointError, match="holds no weights"):
        load_checkpoint(Model(), path)
