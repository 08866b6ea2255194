"""Keys, shapes and types of every published checkpoint, without the values (`tests/golden/manifests.json.xz`).

Run as a program, it writes this file anew from the measured manifests of the configs in it, and of those named.
"""

from __future__ import annotations

import json
import lzma
import sys
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mmdet3d_plugin.config import load_config
from mmdet3d_plugin.models.checkpoints.key_map import KeyTable
from mmdet3d_plugin.models.checkpoints.tables import TABLES
from mmdet3d_plugin.parity import find_config
from mmdet3d_plugin.registry import MODELS

TESTS = Path(__file__).resolve().parents[2]
FILE = TESTS / "golden" / "manifests.json.xz"
MANIFESTS: dict[str, dict[str, Any]] = json.loads(lzma.decompress(FILE.read_bytes()))
"""By name of the published config: `state_dict` [[key, shape, dtype], ...], `aliases` and `n_params`."""
SHARED = TESTS.parents[1] / "shared" / "golden" / "manifests"


def published(stem: str) -> dict[str, Tensor]:
    """The state dict of a published checkpoint, tensors without memory."""
    with torch.device("meta"):
        entries = MANIFESTS[stem]["state_dict"]
        return {key: torch.empty(shape, dtype=getattr(torch, dtype)) for key, shape, dtype in entries}


def table_of(stem: str) -> KeyTable:
    """The table that loading chooses."""
    state = published(stem)
    return next(table for table in TABLES if table.recognises(state))


@cache
def network(stem: str) -> nn.Module:
    """The network of the config with the name of the checkpoint, parameters without memory."""
    with torch.device("meta"):
        return MODELS.build(load_config(find_config(stem)).model.network)


if __name__ == "__main__":
    manifests = {
        stem: json.loads((SHARED / f"{stem}.json").read_text()) for stem in sorted({*MANIFESTS, *sys.argv[1:]})
    }
    kept = {stem: {name: m[name] for name in ("n_params", "aliases", "state_dict")} for stem, m in manifests.items()}
    FILE.write_bytes(lzma.compress(json.dumps(kept, separators=(",", ":")).encode(), preset=9))
