"""Building from configs: a key is a constructor argument, and nothing else."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mmdet3d_plugin.errors import ConfigError
from mmdet3d_plugin.registry import HOOKS, MODELS, OPTIMIZERS, check_arguments


def test_misspelt_argument_names_the_closest():
    with pytest.raises(ConfigError, match="takes no argument 'depht'") as error:
        MODELS.build({"type": "ResNet", "depht": 50})
    assert "did you mean 'depth'" in str(error.value)
    assert "depht=50" in str(error.value)


def test_misspelt_argument_deep_in_a_model_is_found():
    stage = {
        "type": "ImageEncoder",
        "backbone": {"type": "ResNet", "dept": 50},
        "neck": {"type": "TopDownNeck"},
    }
    with pytest.raises(ConfigError, match="ResNet takes no argument 'dept'"):
        MODELS.build(stage)


def test_misspelt_type_names_the_closest():
    with pytest.raises(ConfigError, match="did you mean 'ConcatHistory'"):
        MODELS.build({"type": "ConcatHistroy"})


def test_misspelt_argument_of_a_hook():
    with pytest.raises(ConfigError, match="did you mean 'samples'"):
        HOOKS.build({"type": "LinearWarmUp", "sample": 10})


def test_arguments_of_foreign_classes_are_checked_where_they_are_listed():
    with pytest.raises(ConfigError, match="AdamW takes no argument 'weight_deacy'") as error:
        check_arguments({"type": "AdamW", "weight_deacy": 0.1}, OPTIMIZERS)
    assert "did you mean 'weight_decay'" in str(error.value)
    check_arguments({"type": "AdamW", "lr": 0.1}, OPTIMIZERS)


def test_class_without_a_constructor_takes_nothing():
    @MODELS.register_module()
    class Bare(nn.Module):
        __module__ = "mmdet3d_plugin.test"

    assert isinstance(MODELS.build({"type": "Bare"}), Bare)
    with pytest.raises(ConfigError, match="Bare takes no argument 'width'"):
        MODELS.build({"type": "Bare", "width": 3})


def test_classes_of_other_packages_can_be_named():
    module = MODELS.build({"type": nn.Linear, "in_features": 2, "out_features": 3})
    assert module(torch.zeros(1, 2)).shape == (1, 3)
