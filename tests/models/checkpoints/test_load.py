"""Reading checkpoint files."""

from __future__ import annotations

import pytest
import torch
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
    assert load_checkpoint(target, path) == {"samples": 7}
    torch.testing.assert_close(target.network.weight, source.network.weight)


def test_a_bare_network_takes_the_weights_of_a_model(path):
    source, target = Model(), nn.Linear(2, 3)
    torch.save(source.state_dict(), path)
    assert load_checkpoint(target, path) == {}
    torch.testing.assert_close(target.weight, source.network.weight)


def test_a_published_file_is_recognised_and_converted(path, monkeypatch):
    table = KeyTable("toy", "fc.", (Rename(r"fc\.(.*)", r"\1"),))
    monkeypatch.setattr(load_module, "TABLES", (table,))
    source, target = nn.Linear(2, 3), Model()
    torch.save({"state_dict": {f"fc.{k}": v for k, v in source.state_dict().items()}, "optimizer": {}}, path)
    load_checkpoint(target, path)
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
    assert "state_dict" in str(error.value)


@pytest.mark.parametrize("content", [{"epoch": 3}, {"state_dict": {}}, [1, 2]])
def test_a_file_without_weights_is_refused(path, content):
    torch.save(content, path)
    with pytest.raises(CheckpointError, match="holds no weights"):
        load_checkpoint(Model(), path)
