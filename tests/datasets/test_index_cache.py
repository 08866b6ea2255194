from __future__ import annotations

import dataclasses
import json
import logging
import multiprocessing
import os
import time
from dataclasses import dataclass
from pathlib import Path

import handmade
import numpy as np
import platformdirs
import pytest

from mmdet3d_plugin.datasets import index_cache
from mmdet3d_plugin.datasets.index import KeyFrameIndex, load_index
from mmdet3d_plugin.datasets.index_cache import FOLDER, cached, open_columns, write_columns
from mmdet3d_plugin.errors import DataError


@dataclass(frozen=True)
class Toy:
    number: np.ndarray
    text: np.ndarray


@pytest.fixture
def source(tmp_path) -> Path:
    path = tmp_path / "data" / "source.txt"
    path.parent.mkdir()
    path.write_text("1 2 3")
    return path


class Maker:
    """Makes a table of a source and counts how often."""

    def __init__(self, source: Path):
        self.source, self.calls = source, 0

    def __call__(self) -> Toy:
        self.calls += 1
        words = self.source.read_text().split()
        return Toy(np.array(words, dtype=np.float64), np.array([f"ä{word}" for word in words]))

    def get(self) -> Toy:
        return cached(Toy, self.source.parent, "toy", [self.source], self)


def entry(source: Path) -> Path:
    (found,) = (path for path in (source.parent / FOLDER / "toy").iterdir() if path.is_dir())
    return found


def test_it_is_made_once_and_then_mapped(source):
    make = Maker(source)
    for _ in range(3):
        table = make.get()
        assert table.number.tolist() == [1, 2, 3]
        assert table.text.tolist() == ["ä1", "ä2", "ä3"]
        assert isinstance(table.number.base, np.memmap)
        assert type(table.number) is np.ndarray
        assert not table.number.flags.writeable
    assert make.calls == 1
    assert sorted(p.name for p in entry(source).iterdir()) == ["columns.json", "number.npy", "text.npy"]


def test_changed_sources_are_read_again_and_the_old_table_goes(source, caplog):
    make = Maker(source)
    make.get()
    assert not caplog.records
    source.write_text("4 5")
    assert make.get().number.tolist() == [4, 5]
    assert "is made again" in caplog.text
    os.utime(source, (1, 1))  # the same size, another time
    make.get()
    assert make.calls == 3
    assert entry(source)


def test_another_format_is_another_table(source, monkeypatch):
    make = Maker(source)
    make.get()
    monkeypatch.setattr(index_cache, "FORMAT", index_cache.FORMAT + 1)
    make.get()
    assert make.calls == 2


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: flip(folder / "number.npy"),
        lambda folder: (folder / "text.npy").write_bytes((folder / "text.npy").read_bytes()[:-4]),
        lambda folder: (folder / "text.npy").unlink(),
        lambda folder: (folder / "columns.json").write_text("{"),
        lambda folder: (folder / "columns.json").write_text(json.dumps({"crc32": {}})),
        lambda folder: np.save(folder / "number.npy", np.array([1, 2, 3])),
        lambda folder: np.save(folder / "number.npy", np.array([[1.0, 2.0, 3.0]])),
        lambda folder: np.save(folder / "number.npy", np.array([{}, 2, 3], dtype=object), allow_pickle=True),
        lambda folder: (folder / "number.npy").write_bytes(b""),
    ],
)
def test_a_damaged_table_is_made_again_and_said_so(source, caplog, damage):
    make = Maker(source)
    make.get()
    damage(entry(source))
    assert make.get().number.tolist() == [1, 2, 3]
    assert "is damaged and made again" in caplog.text
    assert make.calls == 2
    caplog.clear()
    make.get()
    assert make.calls == 2
    assert not caplog.records


def test_a_root_that_cannot_be_written_is_served_from_the_cache_of_the_user(source, tmp_path, monkeypatch):
    monkeypatch.setattr(platformdirs, "user_cache_dir", lambda name: str(tmp_path / "home" / name))
    (source.parent / FOLDER).write_text("in the way")
    make = Maker(source)
    make.get()
    assert make.get().text[0] == "ä1"
    assert make.calls == 1
    assert list((tmp_path / "home" / "occstudio").rglob("number.npy"))


def test_nothing_can_be_written(source, tmp_path, monkeypatch, caplog):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setattr(platformdirs, "user_cache_dir", lambda name: str(tmp_path / "file" / name))
    (source.parent / FOLDER).write_text("in the way")
    make = Maker(source)
    assert make.get().number.tolist() == make.get().number.tolist() == [1, 2, 3]
    assert make.calls == 2
    assert "made at every start" in caplog.text


def test_a_full_disk_is_logged_and_leaves_nothing(source, monkeypatch, caplog):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    assert Maker(source).get().number.tolist() == [1, 2, 3]
    assert "cannot be written" in caplog.text
    assert [p.name for p in (source.parent / FOLDER / "toy").iterdir()] == ["lock"]


def test_errors_of_the_sources_are_passed_on(source):
    source.unlink()
    with pytest.raises(FileNotFoundError):
        Maker(source).get()


def _ask(source: Path, number: int, marks: Path) -> None:
    def build() -> Toy:
        (marks / str(number)).touch()
        time.sleep(0.3)
        return Maker(source)()

    assert cached(Toy, source.parent, "toy", [source], build).number.tolist() == [1, 2, 3]


def test_of_many_processes_one_makes_it(source, tmp_path):
    context = multiprocessing.get_context("fork")
    (tmp_path / "marks").mkdir()
    processes = [context.Process(target=_ask, args=(source, i, tmp_path / "marks")) for i in range(6)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 6
    assert len(list((tmp_path / "marks").iterdir())) == 1


def test_without_locks_the_last_writer_wins(source):
    make = Maker(source)
    make.get()
    write_columns(Toy(np.arange(2.0), np.array(["a", "b"])), entry(source))
    assert open_columns(Toy, entry(source)).text.tolist() == ["a", "b"]
    assert not [p for p in entry(source).parent.iterdir() if p.name.startswith(".")]
    with pytest.raises(DataError, match="cannot be read"):
        open_columns(KeyFrameIndex, entry(source))


def test_the_tables_are_read_once(broken_world, monkeypatch, caplog):
    first = load_index(broken_world, handmade.VERSION)
    load_index.cache_clear()
    monkeypatch.setattr("mmdet3d_plugin.datasets.index.read_key_frames", None)
    second = load_index(broken_world, handmade.VERSION)
    for field in dataclasses.fields(KeyFrameIndex):
        a, b = getattr(first, field.name), getattr(second, field.name)
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)
    load_index.cache_clear()
    monkeypatch.undo()
    table = broken_world / handmade.VERSION / "scene.json"
    table.write_text(table.read_text().replace("scene-0061", "scene-0077"))
    with caplog.at_level(logging.WARNING):
        assert "scene-0077" in load_index(broken_world, handmade.VERSION).scene_names
    assert "is made again" in caplog.text
