"""A checkpoint of any origin becomes one file of ours that says what it is and gives the same predictions."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from mmdet3d_plugin import cli
from mmdet3d_plugin.apis import OccupancyPredictor, build_model, load_checkpoint
from mmdet3d_plugin.config import load_config
from mmdet3d_plugin.engine import convert
from mmdet3d_plugin.engine.convert import convert_checkpoint
from mmdet3d_plugin.engine.example import example_frame
from mmdet3d_plugin.errors import CheckpointError, ConfigError
from mmdet3d_plugin.models.checkpoints.key_map import Rename
from mmdet3d_plugin.models.checkpoints.tables import ALOCC
from mmdet3d_plugin.models.checkpoints.tables.common import linear_from_conv

CONFIG = Path(__file__).resolve().parents[2] / "configs" / "synthetic" / "alocc_2d_mini_tiny.py"


@pytest.fixture(scope="module")
def cfg():
    cfg = load_config(CONFIG)
    for stage in (cfg.model.network.view_transformer, cfg.model.network.temporal):
        stage.grid.shape = (40, 40, 1)
    return cfg


@pytest.fixture(scope="module")
def published_state(cfg):
    """The state dict that a published checkpoint of the tiny model would have."""
    torch.manual_seed(3)
    state = {"view_transformer.dx": torch.zeros(3)}
    for ours, tensor in build_model(cfg).network.state_dict().items():
        published = ALOCC.published_names(ours)[0]  # of the 2-D family, whose rules come first
        rule = next(r for r in ALOCC.rules if isinstance(r, Rename) and r.inverse(ours) == published)
        state[published] = tensor[..., None, None] if rule.convert is linear_from_conv else tensor
    return state


@pytest.fixture
def published(published_state, tmp_path):
    path = tmp_path / "iter_96060_ema.pth"
    meta = {"epoch": 12, "mmcv_version": "1.7.0", "env_info": "sys.platform: linux", "CLASSES": ("car",)}
    torch.save({"meta": meta, "state_dict": published_state, "updates": 96060}, path)
    return path


def predictions(cfg, checkpoint):
    predictor = OccupancyPredictor(cfg, checkpoint, device="cpu")
    return [predictor(example_frame(cfg, t, (128, 352))).occupancy for t in range(2)]


def test_a_published_file_gives_the_same_predictions_before_and_after(cfg, published, tmp_path):
    out = tmp_path / "weights" / "mini.safetensors"
    card = convert_checkpoint(cfg, published, out, license="CC BY-NC 4.0")
    expected = predictions(cfg, published)
    assert expected[0].unique().numel() > 2
    assert all(torch.equal(a, b) for a, b in zip(expected, predictions(cfg, out)))
    assert load_checkpoint(build_model(cfg), out) == card
    again = tmp_path / "again.safetensors"
    assert convert_checkpoint(cfg, out, again)["parameters"] == card["parameters"]
    with safe_open(out, "pt") as one, safe_open(again, "pt") as two:
        assert one.keys() == two.keys()
        assert all(torch.equal(one.get_tensor(key), two.get_tensor(key)) for key in one.keys())  # noqa: SIM118


def test_the_card_says_what_the_file_is(cfg, published, tmp_path):
    out = tmp_path / "mini.safetensors"
    card = convert_checkpoint(cfg, published, out, license="CC BY-NC 4.0")
    digest = hashlib.sha256(published.read_bytes()).hexdigest()
    assert card["source"] == {"file": published.name, "bytes": published.stat().st_size, "sha256": digest}
    assert (card["config"], card["method"], card["license"]) == (CONFIG.stem, "ALOcc", "CC BY-NC 4.0")
    assert (card["label_space"], card["profile"]) == (cfg.label_space, cfg.profile.name)
    assert card["parameters"] == sum(p.numel() for p in build_model(cfg).parameters())
    assert card["source_meta"] == {"epoch": 12}  # nothing that names a machine
    assert card["dropped"] == {"constants of the voxel grid, which the config gives": ["view_transformer.dx"]}
    with safe_open(out, "pt") as file:
        assert json.loads(file.metadata()["occstudio"]) == card
    page = out.with_suffix(".md").read_text()
    for fact in (digest, "CC BY-NC 4.0", cfg.label_space, cfg.profile.name, "view_transformer.dx", "200, 200, 16"):
        assert fact in page
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([published.name, out.name, "mini.md"])


def test_a_checkpoint_of_our_own_training_is_converted_too(cfg, tmp_path):
    model = build_model(cfg)
    path = tmp_path / "model.pth"
    torch.save({"meta": {"label_space": cfg.label_space, "samples": 5}, "state_dict": model.state_dict()}, path)
    card = convert_checkpoint(cfg, path, tmp_path / "own.safetensors")
    assert (card["method"], card["dropped"]) == ("own training", {})
    assert card["source_meta"] == {"label_space": cfg.label_space, "samples": 5}
    assert "not stated" in (tmp_path / "own.md").read_text()


def test_weights_of_another_label_space_are_refused(cfg, tmp_path):
    path = tmp_path / "model.pth"
    torch.save({"meta": {"label_space": "OpenOcc"}, "state_dict": build_model(cfg).state_dict()}, path)
    with pytest.raises(ConfigError, match=rf"(?s)OpenOcc.*{cfg.label_space}"):
        convert_checkpoint(cfg, path, tmp_path / "own.safetensors")


@pytest.mark.parametrize("existing", ["mini.safetensors", "mini.md"])
def test_nothing_is_overwritten_unless_forced(cfg, published, tmp_path, existing):
    (tmp_path / existing).write_text("mine")
    with pytest.raises(CheckpointError, match=rf"{existing} exists"):
        convert_checkpoint(cfg, published, tmp_path / "mini.safetensors")
    assert (tmp_path / existing).read_text() == "mine"
    convert_checkpoint(cfg, published, tmp_path / "mini.safetensors", force=True)
    load_checkpoint(build_model(cfg), tmp_path / "mini.safetensors")


def test_a_full_disk_leaves_what_was_there(cfg, published, tmp_path, monkeypatch):
    out = tmp_path / "mini.safetensors"
    out.write_text("mine")

    def fill(state, path, metadata):
        Path(path).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(convert, "save_file", fill)
    with pytest.raises(CheckpointError, match=r"(?s)mini\.safetensors cannot be written.*No space left"):
        convert_checkpoint(cfg, published, out, force=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([published.name, out.name])
    assert out.read_text() == "mine"


def test_the_command_reports_what_is_wrong(published, tmp_path, capsys):
    arguments = ["convert", str(published), "--config", str(CONFIG)]
    assert cli.main([*arguments, "--out", str(tmp_path / "mini.pth")]) == 1
    assert "not the name of a .safetensors file" in capsys.readouterr().err
    assert cli.main([*arguments, "--out", str(tmp_path / "mini.safetensors"), "--license", "MIT"]) == 0
    assert "1 keys not needed" in capsys.readouterr().out
    assert "| license | MIT |" in (tmp_path / "mini.md").read_text()
    published.write_bytes(published.read_bytes()[:1000])
    assert cli.main([*arguments, "--out", str(tmp_path / "other.safetensors")]) == 1
    assert "truncated" in capsys.readouterr().err
    assert not (tmp_path / "other.safetensors").exists()
