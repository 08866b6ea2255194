"""Models with the weights of the recipe."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..config import load_config
from ..errors import ConfigError, DataError, closest
from ..models.checkpoints import load_published
from ..models.checkpoints.tables import TABLES
from ..models.occupancy_model import OccupancyModel
from ..registry import MODELS
from .recipe import published_state_dict

CONFIGS = Path(__file__).resolve().parents[2] / "configs"


def find_config(stem: str, root: Path = CONFIGS) -> Path:
    """The config file with the name of a published checkpoint.

    Raises:
        ConfigError: there is none.
    """
    found = {path.stem: path for path in root.glob("[!_]*/*.py")}
    if stem not in found:
        raise ConfigError(f"no config is named {stem!r}", expected=closest(stem, found))
    return found[stem]


def read_golden(path: Path) -> dict[str, Any]:
    """A JSON file of the golden figures.

    Raises:
        DataError: it does not exist.
    """
    if not path.is_file():
        known = [p.stem for p in path.parent.glob("*.json")]
        raise DataError(
            f"golden file {path} does not exist",
            expected=closest(path.stem, known) if known else "golden/{forward,losses,manifests}/STEM.json",
        )
    return json.loads(path.read_text())


def build_parity_model(stem: str, golden: Path, seed: int) -> OccupancyModel:
    """The model of a published config with the weights of the recipe, through the checkpoint converter.

    Args:
        stem: name of the config.
        golden: directory of the golden figures.
        seed: of the golden file to compare with.

    Returns:
        the model in evaluation mode; `model.network` takes normalised images.
    """
    cfg = load_config(find_config(stem))
    model = MODELS.build(cfg.model)
    state = published_state_dict(read_golden(golden / "manifests" / f"{stem}.json"), seed)
    table = next((table for table in TABLES if table.recognises(state)), None)
    if table is None:
        raise ConfigError(f"no key table knows the published model {stem!r}")
    load_published(model.network, state, table, f"manifest of {stem}")
    return model.eval()
