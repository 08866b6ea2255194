"""Loading configs: options, profiles, and errors that name the closest key."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmdet3d_plugin.config import load_config
from mmdet3d_plugin.errors import ConfigError

TEXT = """
stages = [dict(type="Stage", size=1), dict(type="Stage", size=2, quirk="none")]
model = dict(type="Net", width=8, stages=stages)
train_cfg = dict(samples=10)
profile = dict(name="published", arguments=dict(Stage=dict(quirk="upstream")))
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "toy.py"
    path.write_text(TEXT)
    return path


def test_profile_fills_what_a_class_does_not_set_itself(file):
    first, second = load_config(file).model.stages
    assert first.quirk == "upstream"
    assert second.quirk == "none"


def test_options_override(file):
    cfg = load_config(file, {"model.width": 4, "model.stages.1.size": 7, "train_cfg.samples": 20})
    assert (cfg.model.width, cfg.model.stages[1].size, cfg.train_cfg.samples) == (4, 7, 20)


def test_an_argument_left_at_its_default_can_be_set(file):
    """The registry checks afterwards that the class takes it."""
    assert load_config(file, {"model.depth": 3}).model.depth == 3


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("train_cfg.sample", "did you mean 'samples'"),
        ("modle.width", "did you mean 'model'"),
        ("model.stages.5.size", "has no element '5'"),
        ("model.width.size", "model.width is 8, not a dict"),
    ],
)
def test_option_that_does_not_exist(file, option, message):
    with pytest.raises(ConfigError, match="option") as error:
        load_config(file, {option: 1})
    assert message in str(error.value)
    assert option in str(error.value)


def test_missing_file_names_the_closest(file):
    with pytest.raises(ConfigError, match=r"did you mean 'toy\.py'"):
        load_config(file.with_name("toi.py"))


def test_broken_file_is_named(file):
    file.write_text("model = dict(")
    with pytest.raises(ConfigError, match=r"toy\.py cannot be read"):
        load_config(file)
