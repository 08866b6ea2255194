"""Learning rates that fall towards the images."""

from __future__ import annotations

import copy
from collections import Counter

import pytest
import torch
from encoder_toy import NETWORK
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope

from mmdet3d_plugin.apis import build_model
from mmdet3d_plugin.config import load_config
from mmdet3d_plugin.engine.layer_decay import LayerDecayConstructor, parameter_groups
from mmdet3d_plugin.errors import ConfigError
from mmdet3d_plugin.parity.model import CONFIGS

SWIN_BASE = CONFIGS / "alocc" / "alocc_3d_swin_base_512x1408_geomim_preatrain_16f_gt_depth.py"


@pytest.fixture(scope="module")
def swin_base():
    with torch.device("meta"):
        return build_model(load_config(SWIN_BASE))


def test_groups_of_swin_base_in_closed_form(swin_base):
    groups = parameter_groups(swin_base, 0.85, 2e-4, 0.05)
    found = {id(p): group for group in groups for p in group["params"]}
    assert len(found) == sum(len(group["params"]) for group in groups) == len(list(swin_base.parameters()))
    for name, parameter in swin_base.named_parameters():
        group = found[id(parameter)]
        parts = name.removeprefix("network.image_encoder.backbone.").split(".")
        if parts[0] == "stages":
            before = (0, 2, 4, 22)[int(parts[1])]
            layer = before + int(parts[3]) + 1 if parts[2] == "blocks" else (2, 4, 22)[int(parts[1])]
        else:
            layer = 0 if parts[0] in ("positions", "patches", "patch_norm") else 25
        assert group["layer"] == layer, name
        assert group["lr"] == pytest.approx(2e-4 * 0.85 ** (25 - layer)), name
        without_decay = parameter.dim() <= 1 or name.endswith(".bias")
        assert group["weight_decay"] == (0.0 if without_decay else 0.05), name


def test_there_is_a_pair_of_groups_per_layer_the_whole_rate_first(swin_base):
    groups = parameter_groups(swin_base, 0.85, 2e-4, 0.05)
    assert [group["layer"] for group in groups] == [layer for layer in range(25, -1, -1) for _ in range(2)]
    assert groups[0]["lr"] == 2e-4
    # A block has four weights and a table of biases that decay; two norms and four biases do not.
    sizes = Counter((group["layer"], len(group["params"])) for group in groups if group["layer"] in (1, 3, 24))
    assert sizes == {(1, 5): 1, (1, 8): 1, (3, 5): 1, (3, 8): 1, (24, 5): 1, (24, 8): 1}
    assert [len(group["params"]) for group in groups if group["layer"] == 0] == [2, 3]


def test_the_shipped_config_builds_this_optimiser():
    cfg = load_config(SWIN_BASE)
    with torch.device("meta"):
        model = build_model(dict(cfg.model, network=NETWORK, losses=[]))
    with DefaultScope.overwrite_default_scope("mmdet3d_plugin"):
        wrapper = build_optim_wrapper(model, copy.deepcopy(cfg.optim_wrapper))
    optimizer = wrapper.optimizer
    assert isinstance(optimizer, torch.optim.AdamW)
    assert optimizer.defaults["betas"] == (0.9, 0.999)
    rates = sorted({g["lr"] for g in optimizer.param_groups}, reverse=True)
    assert rates == pytest.approx([2e-4 * 0.85**n for n in range(7)])
    assert {g["weight_decay"] for g in optimizer.param_groups} == {0.0, 0.05}
    assert wrapper.clip_grad_kwargs == {"max_norm": 5.0, "norm_type": 2.0}


def test_a_training_steps_resumes_and_warms_up_every_group(training, tmp_path):
    options = {
        "model__network": NETWORK,
        "optim_wrapper": {
            "constructor": "LayerDecay",
            "paramwise_cfg": {"decay": 0.5},
            "optimizer": {"type": "AdamW", "lr": 1e-2, "weight_decay": 1e-2},
        },
    }
    status, text = training("run", train_cfg__samples=24, **options)
    assert status == [0], text
    assert training("run", resume=True, train_cfg__samples=48, **options)[0] == [0]
    trainer = torch.load(tmp_path / "run" / "latest" / "trainer.pth", weights_only=True)
    groups = trainer["optimizer"]["param_groups"]
    assert [g["lr"] for g in groups] == pytest.approx([1e-2 * 0.5 ** (6 - g["layer"]) for g in groups])
    assert [g["initial_lr"] for g in groups] == [g["lr"] for g in groups]


def test_a_backbone_that_does_not_number_its_layers_is_refused():
    with torch.device("meta"):
        model = build_model(load_config(CONFIGS / "synthetic" / "alocc_2d_mini_tiny.py"))
    with pytest.raises(ConfigError, match=r"found:\s+ResNet"):
        parameter_groups(model, 0.85, 1e-3, 0.0)


@pytest.mark.parametrize("paramwise", [None, {}, {"decay": 0}, {"decay": 1.5}, {"decay": 0.9, "num_layers": 24}])
def test_other_arguments_are_refused(paramwise):
    with pytest.raises(ConfigError, match="paramwise_cfg"):
        LayerDecayConstructor({"optimizer": {"type": "AdamW", "lr": 1.0}}, paramwise)
