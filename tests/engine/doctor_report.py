"""What tests read in the findings and pictures of `occstudio doctor data`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from mmdet3d_plugin.engine.data_doctor import Finding


def problems(findings: list[Finding]) -> str:
    return "\n".join(f"{f.topic}: {f.text}" for f in findings if f.status == "PROBLEM")


def texts(findings: list[Finding], topic: str) -> str:
    return "\n".join(f.text for f in findings if f.topic == topic)


def assert_road_is_below(picture: Path) -> None:
    """The purple of the road fills the lower part of the front camera, the second of three, and no part of its sky."""
    tile = np.asarray(Image.open(picture)).astype(int)[80:520, 824:1576]
    purple = (tile[..., 0] > tile[..., 1] + 60) & (tile[..., 2] > tile[..., 1] + 60)
    assert purple[300:].mean() > 0.3
    assert purple[:100].mean() < 0.02
