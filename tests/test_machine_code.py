"""Machine code on disk follows the sources."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

_CALLER = """
from {package}.callee import double
from mmdet3d_plugin.machine_code import compiled

@compiled()
def run(x):
    return double(x) + 1
"""
_CALLEE = """
from mmdet3d_plugin.machine_code import compiled

@compiled()
def double(x):
    return {factor} * x
"""


def answer(folder: Path) -> int:
    words = [sys.executable, "-c", f"from {folder.name}.caller import run; print(run(20))"]
    return int(subprocess.run(words, cwd=folder.parent, check=True, capture_output=True, text=True).stdout)


@pytest.fixture
def package(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).resolve().parents[1]))
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    folder = tmp_path / "sources"
    folder.mkdir()
    (folder / "caller.py").write_text(_CALLER.format(package=folder.name))
    (folder / "callee.py").write_text(_CALLEE.format(factor=2))
    return folder


def test_a_changed_callee_is_compiled_anew(package):
    assert answer(package) == 41
    assert len(list(package.rglob("*.nbi"))) == 2
    (package / "callee.py").write_text(_CALLEE.format(factor=3))
    assert answer(package) == 61


def test_machine_code_is_used_again(package):
    answer(package)
    before = {path: path.stat().st_mtime_ns for path in package.rglob("*.nb[ic]")}
    assert answer(package) == 41
    assert before
    assert {path: path.stat().st_mtime_ns for path in package.rglob("*.nb[ic]")} == before


def test_a_folder_of_the_user_is_respected(package, tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    assert answer(package) == 41
    assert not list(package.rglob("*.nbi"))
    assert len(list((tmp_path / "cache").rglob("*.nbi"))) == 2


_STRICT = """
from mmdet3d_plugin.machine_code import compiled

@compiled()
def cancel(x, y):
    return (x + y) - x  # fast mathematics makes it y

@compiled(fastmath=True)
def caller(x, y):
    return cancel(x, y)

{first}
print(cancel(1e20, 1.0))
"""


@pytest.mark.parametrize("first", ["", "caller(1e20, 1.0)"])
def test_who_calls_first_does_not_matter(tmp_path, monkeypatch, first):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).resolve().parents[1]))
    (tmp_path / "program.py").write_text(_STRICT.format(first=first))
    done = subprocess.run([sys.executable, "program.py"], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert float(done.stdout) == 0.0
