"""Fixtures that several areas share."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny_world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Root of a generated data set, preset "tiny": 2 + 1 scenes of 4 key frames, v1.0-mini. Do not write to it."""
    from mmdet3d_plugin.datasets.synthetic import create_world

    return create_world(tmp_path_factory.mktemp("world") / "tiny", "tiny", progress=False)
