"""Trainings that start from weights of somebody else."""

from __future__ import annotations

import torch
from encoder_toy import NETWORK, SWIN

from mmdet3d_plugin.config import load_config
from mmdet3d_plugin.engine.checkpoint import saved_checkpoints
from mmdet3d_plugin.parity.model import CONFIGS
from mmdet3d_plugin.registry import MODELS

WITH_ENCODER = {"model__network": NETWORK, "train_cfg__samples": 4}


def test_a_training_starts_from_a_backbone_and_reports_what_it_took(training, tmp_path):
    torch.manual_seed(3)
    backbone = MODELS.build(SWIN)
    state = backbone.state_dict()
    names = {"mlp.0": "mlp.0", "positions": "absolute_pos_embed", "patches.": "patch_embed.projection."}
    file = {key.replace("positions", names["positions"]): value for key, value in state.items() if key == "positions"}
    file |= {key.replace("patches.", names["patches."]): v for key, v in state.items() if key.startswith("patches.")}
    torch.save({"model": file | {"head.weight": torch.zeros(2)}}, tmp_path / "swin.pth")
    status, text = training("run", load_from=str(tmp_path / "swin.pth"), **WITH_ENCODER)
    assert status == [0], text
    assert "taken:    3 tensors (image_encoder.backbone 3)" in text
    assert "dropped:  1 tensors (head 1)" in text
    assert "random in the image encoder: image_encoder.backbone.norms.2.bias" in text
    saved = torch.load(tmp_path / "run" / "latest" / "model.pth", weights_only=True)["state_dict"]
    torch.testing.assert_close(saved["network.image_encoder.backbone.positions"], state["positions"])


def test_a_source_that_is_not_there_is_refused_before_anything_is_written(training, tmp_path):
    status, text = training("run", load_from="ckpts/bevdet-r50-4d-stereo-cbgs.pth")
    assert status == [1]
    assert "load_from names ckpts/bevdet-r50-4d-stereo-cbgs.pth, which does not exist" in text
    assert "BEVDet-R50-4D-Stereo-CBGS" in text
    assert "--cfg-options load_from=None" in text
    assert not saved_checkpoints(tmp_path / "run")
    assert not list((tmp_path / "run").glob("*.py"))


def test_a_resumed_training_does_not_need_its_source_any_more(training, tmp_path):
    assert training("run", train_cfg__samples=12)[0] == [0]
    status, text = training("run", resume=True, load_from="ckpts/gone.pth", train_cfg__samples=24)
    assert status == [0], text


def test_a_file_without_the_backbone_ends_the_training_with_a_message(training, tmp_path):
    torch.save({"model": {"conv1.weight": torch.zeros(2, 2)}}, tmp_path / "other.pth")
    status, text = training("run", load_from=str(tmp_path / "other.pth"), **WITH_ENCODER)
    assert status == [1]
    assert "holds nothing for the backbone, SwinTransformer" in text


def test_shipped_configs_name_their_source_and_it_can_be_switched_off():
    config = CONFIGS / "alocc" / "alocc_3d_r50_256x704_bevdet_preatrain_16f.py"
    assert load_config(config).load_from == "ckpts/bevdet-r50-4d-stereo-cbgs.pth"
    assert load_config(config, {"load_from": None}).load_from is None
