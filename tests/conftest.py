"""Fixtures that several areas share."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
import torch

# A suite that a script starts in the background inherits that Ctrl-C is ignored, and so would the processes of tests.
signal.signal(signal.SIGINT, signal.default_int_handler)

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny_world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Root of a generated data set, preset "tiny": 2 + 1 scenes of 4 key frames, v1.0-mini. Do not write to it."""
    from mmdet3d_plugin.datasets.synthetic import create_world

    return create_world(tmp_path_factory.mktemp("world") / "tiny", "tiny", progress=False)


@pytest.fixture(scope="session")
def sweep_world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Root of a generated data set, preset "tiny", with camera and lidar sweeps. Do not write to it."""
    from mmdet3d_plugin.datasets.synthetic import create_world

    return create_world(tmp_path_factory.mktemp("world") / "sweeps", "tiny", sweeps=5, progress=False)


@pytest.fixture(scope="session")
def waymo_world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Root of a generated Occ3D-Waymo, preset "tiny": 2 + 1 scenes of 4 frames. Do not write to it."""
    from mmdet3d_plugin.datasets.synthetic import create_world

    root = tmp_path_factory.mktemp("world") / "waymo"
    return create_world(root, "tiny", layout="waymo", image_scale=0.1, progress=False)


@pytest.fixture(scope="session")
def four_camera_world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Root of the worked example of an own data set, preset "tiny". Do not write to it."""
    from mmdet3d_plugin.datasets.synthetic import create_world

    root = tmp_path_factory.mktemp("world") / "four_cameras"
    return create_world(root, "tiny", layout="four-cameras", image_scale=0.15, progress=False)
