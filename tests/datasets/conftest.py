from __future__ import annotations

import shutil
from pathlib import Path

import handmade
import pytest


@pytest.fixture(scope="session")
def world(tmp_path_factory) -> Path:
    """Root of the hand-made data set. Read only."""
    return handmade.write(tmp_path_factory.mktemp("handmade") / "nuscenes")


@pytest.fixture
def broken_world(world, tmp_path) -> Path:
    """A copy of the hand-made data set that a test may damage."""
    return Path(shutil.copytree(world, tmp_path / "nuscenes"))
