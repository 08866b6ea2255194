"""The pictures of docs/metrics.md are drawn by the code that scores."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[2]


def test_pictures_of_the_documentation(tmp_path):
    subprocess.run([sys.executable, ROOT / "tools/analysis_tools/draw_metrics.py", tmp_path], check=True, cwd=ROOT)
    text = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    for path in tmp_path.iterdir():
        assert f"(images/{path.name})" in text
        with Image.open(path) as drawn, Image.open(ROOT / "docs" / "images" / path.name) as shown:
            assert drawn.size == shown.size
            assert len(drawn.convert("RGB").getcolors(maxcolors=1 << 20)) > 20
    assert len(list(tmp_path.iterdir())) == 3
