"""Tables are read quickly, and as if every record were decoded (spec/data/formats section 2)."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import handmade
import numpy as np
import pytest
from full_tables import PER_KEY_FRAME, write_full_tables
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from mmdet3d_plugin.datasets import index, tables
from mmdet3d_plugin.datasets.index import load_index
from mmdet3d_plugin.datasets.key_frames import read_key_frames
from mmdet3d_plugin.datasets.tables import Where, read_table
from mmdet3d_plugin.errors import DataError

KEY = Where("key", b"false".__ne__)


def everything(self: Where, text: bytes, between: bytes) -> bytes:
    return text


def columns(folder: Path) -> dict[str, np.ndarray]:
    built = index._from_tables(folder)
    return {f.name: getattr(built, f.name) for f in dataclasses.fields(built)}


@pytest.mark.parametrize("chunk", [700, 1 << 22])
@pytest.mark.parametrize("source", ["synthetic world", "made by hand", "with sweeps"])
def test_the_index_is_that_of_all_records(source, chunk, tiny_world, world, tmp_path, monkeypatch):
    """Bit by bit, against records that are decoded one after the other, none of them left out."""
    folder = {"synthetic world": tiny_world / "v1.0-mini", "made by hand": world / handmade.VERSION}.get(source)
    if folder is None:
        folder = tmp_path / "v1.0-trainval"
        write_full_tables(folder, scenes=3, frames=20)
    monkeypatch.setattr(tables, "_CHUNK", chunk)
    quick = columns(folder)
    monkeypatch.setattr(Where, "select", everything)
    monkeypatch.setattr(tables, "_last_border", lambda text: None)
    exact = columns(folder)
    for name, column in exact.items():
        assert quick[name].dtype == column.dtype
        assert quick[name].tobytes() == column.tobytes(), name


def test_only_key_frames_are_decoded(tmp_path):
    """Of 77 records between two key frames the twelve of key frames, and the last one of the table."""
    write_full_tables(tmp_path, scenes=2, frames=10)
    assert sum(1 for _ in read_table(tmp_path, "sample_data")) == 10 * sum(PER_KEY_FRAME.values()) == 770
    chosen = list(read_table(tmp_path, "sample_data", Where("is_key_frame", b"false".__ne__)))
    assert len(chosen) == 10 * len(PER_KEY_FRAME) + 1
    wanted = {record["token"] for record in chosen[::5]}
    poses = {record["token"] for record in read_table(tmp_path, "ego_pose", Where.among("token", wanted))}
    assert wanted <= poses
    assert len(poses) <= len(wanted) + 1


TEXT = st.sampled_from(["a", "", "}, {", "},{", "},\n{", '"key": false', '\\"key\\": false', "{", "]", "ä", "\u2028"])
VALUE = st.recursive(
    TEXT | st.booleans() | st.none() | st.integers(-9, 9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["key", "x"]), inner, max_size=2),
    max_leaves=5,
)
RECORD = st.fixed_dictionaries({"key": st.sampled_from([True, True, False])}, optional={"x": VALUE, "y": VALUE})


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example([{"key": True}, {"key": False, "x": [{}, {}]}], None, (",", ":"), 100, False)
@example([{"key": True}, {"key": False, "x": None, "y": "}, {"}], None, (",", ":"), 100, False)
@given(
    records=st.lists(RECORD, max_size=12),
    indent=st.sampled_from([None, 0, 2]),
    separators=st.sampled_from([(",", ":"), (", ", ": ")]),
    chunk=st.sampled_from([16, 100, 1 << 20]),
    ascii_only=st.booleans(),
)
def test_no_record_that_matters_is_lost_or_changed(
    tmp_path, monkeypatch, records, indent, separators, chunk, ascii_only
):
    """Whatever is in the texts, also what looks like a border between records or like the field that is looked at."""
    monkeypatch.setattr(tables, "_CHUNK", chunk)
    text = json.dumps(records, indent=indent, separators=separators, ensure_ascii=ascii_only)
    (tmp_path / "sample.json").write_text(text, encoding="utf-8")
    assert list(read_table(tmp_path, "sample")) == records
    some = list(read_table(tmp_path, "sample", KEY))
    assert [r for r in some if r["key"]] == [r for r in records if r["key"]]


@pytest.mark.parametrize("name", ["sample_data", "ego_pose"])
@pytest.mark.parametrize("damage", ["cut", "hole", "end", "brace"])
def test_damage_where_a_record_is_missed_is_named(tmp_path, name, damage):
    """What a broken copy does: the message is that of the file, not only of what it lacks."""
    write_full_tables(tmp_path, scenes=1, frames=8)
    path = tmp_path / f"{name}.json"
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    if damage == "cut":
        del data[middle:]
    elif damage == "hole":
        data[middle : middle + 20_000] = bytes(20_000)
    elif damage == "end":
        del data[-1:]
    else:
        first = data.index(b'is_key_frame": true') if name == "sample_data" else 0
        data[data.index(b"}", first)] = ord(" ")
    path.write_bytes(data)
    with pytest.raises(DataError, match=rf"(?s){name}\.json is not a JSON list of records"):
        read_key_frames(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rotation": [1, 0, 0]}, r"(?s)is no pose.*rotation of 4 numbers"),
        ({"translation": [1, 2, "3"]}, "is no pose"),
        ({"translation": None}, "is no pose"),
        ({"translation": 2.5}, "is no pose"),
    ],
)
def test_a_broken_pose_is_named(broken_world, change, message):
    path = broken_world / handmade.VERSION / "ego_pose.json"
    poses = json.loads(path.read_text())
    poses[3].update(change)
    path.write_text(json.dumps(poses))
    with pytest.raises(DataError, match=f"{poses[3]['token']}.*{message}" if message == "is no pose" else message):
        load_index(broken_world, handmade.VERSION)


def test_of_two_poses_with_one_token_the_last_counts(broken_world):
    path = broken_world / handmade.VERSION / "ego_pose.json"
    poses = json.loads(path.read_text())
    path.write_text(json.dumps([{**poses[3], "translation": [0, 0, 0]}, *poses]))
    folder = broken_world / handmade.VERSION
    records = read_key_frames(folder).poses
    for pose in poses:
        assert records[pose["token"]] == {key: pose[key] for key in ("rotation", "translation")}
