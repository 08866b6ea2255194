"""Occ3D submissions: round trip, equal bytes, and every way in which a file is wrong."""

from __future__ import annotations

import io
import os
import zipfile

import numpy as np
import pytest
import torch
from metric_volumes import SMALL, random_labels

from mmdet3d_plugin.errors import DataError, EvaluationError
from mmdet3d_plugin.evaluation import read_prediction
from mmdet3d_plugin.evaluation.submission_occ3d import check_occ3d, packed_volume, write_occ3d

VOLUMES = {token: random_labels(seed)[0] for seed, token in enumerate("ab")}


def frames():
    return ((token, packed_volume(token, labels, SMALL)) for token, labels in VOLUMES.items())


def npz(*arrays, **named):
    buffer = io.BytesIO()
    np.savez(buffer, *arrays, **named)
    return buffer.getvalue()


def pack(path, members):
    """A zip file of another program; members are pairs of name and content."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def test_round_trip(tmp_path):
    path = tmp_path / "folder" / "submission.zip"
    write_occ3d(path, frames())
    check_occ3d(path, ["b", "a"], SMALL)
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path / "unpacked")
        assert all(member.external_attr >> 16 == 0o644 for member in archive.infolist())
    assert sorted(os.listdir(tmp_path / "unpacked")) == ["a.npz", "b.npz"]
    assert os.listdir(path.parent) == ["submission.zip"]
    for token, labels in VOLUMES.items():
        with np.load(tmp_path / "unpacked" / f"{token}.npz") as file:
            assert file.files == ["arr_0"]
            assert (file["arr_0"].dtype, file["arr_0"].shape) == (np.uint8, SMALL.shape)
            assert file["arr_0"][3, 7, 1] == labels[1, 7, 3]
        assert torch.equal(read_prediction(tmp_path / "unpacked" / f"{token}.npz", SMALL).occupancy, labels)


def test_equal_volumes_are_equal_bytes(tmp_path, monkeypatch):
    write_occ3d(tmp_path / "one.zip", frames())
    monkeypatch.setattr("time.time", lambda: 1e9)
    write_occ3d(tmp_path / "two.zip", list(frames()))
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()


def test_a_submission_that_fails_leaves_the_old_one(tmp_path):
    path = tmp_path / "submission.zip"
    write_occ3d(path, frames())
    old = path.read_bytes()
    with pytest.raises(EvaluationError, match="sample b comes twice"):
        write_occ3d(path, [*frames(), list(frames())[1]])
    assert path.read_bytes() == old
    assert os.listdir(tmp_path) == ["submission.zip"]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (VOLUMES["a"].long(), r"labels of sample a\n.*int64\n.*uint8"),
        (VOLUMES["a"].permute(2, 1, 0), r"labels of sample a\n.*\(4, 20, 20\)\n.*\[x, y, z\]\n.*exchange the axes"),
        (torch.full_like(VOLUMES["a"], 18), r"labels of sample a are out of range\n.*18\n.*0 to 17"),
    ],
)
def test_wrong_labels_are_named(tmp_path, labels, message):
    with pytest.raises(EvaluationError, match=message):
        packed_volume("a", labels, SMALL)
    path = pack(tmp_path / "theirs.zip", [("a.npz", npz(labels.permute(2, 1, 0).numpy()))])
    with pytest.raises(EvaluationError, match=message):
        check_occ3d(path, ["a"], SMALL)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a.npz"], r"s\.zip lacks samples\n.*1: b\n.*each of 2 samples once\n.*predict them"),
        (["a.npz", "b.npz", "a.npz"], r"s\.zip holds samples twice\n.*1: a\n"),
        (["a.npz", "b.npz", "c.npz"], r"s\.zip holds unknown samples\n.*1: c\n"),
        (["s/a.npz", "s/b.npz"], r"s\.zip holds what is no prediction\n.*s/a\.npz\n.*no folders"),
        (["a.npz", "b.npz", "notes.txt"], r"s\.zip holds what is no prediction\n.*notes\.txt\n"),
    ],
)
def test_wrong_samples_are_named(tmp_path, names, message):
    content = packed_volume("a", VOLUMES["a"], SMALL)
    with pytest.raises(EvaluationError, match=message):
        check_occ3d(pack(tmp_path / "s.zip", [(name, content) for name in names]), ["a", "b"], SMALL)


def test_files_that_are_no_volumes_are_named(tmp_path):
    labels = VOLUMES["a"].permute(2, 1, 0).numpy()
    with pytest.raises(EvaluationError, match=r"sample a has no labels\n.*semantics.*\n.*arr_0"):
        check_occ3d(pack(tmp_path / "s.zip", [("a.npz", npz(semantics=labels))]), ["a"], SMALL)
    single = io.BytesIO()
    np.save(single, labels)
    for content in (b"", b"text", npz(labels)[:-40], npz(labels.astype(object)), single.getvalue()):
        with pytest.raises(DataError, match="prediction of sample a cannot be read"):
            check_occ3d(pack(tmp_path / "s.zip", [("a.npz", content)]), ["a"], SMALL)


def test_damaged_files_are_named(tmp_path):
    path = tmp_path / "s.zip"
    with pytest.raises(DataError, match=r"s\.zip does not exist"):
        check_occ3d(path, ["a", "b"], SMALL)
    write_occ3d(path, frames())
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[200] ^= 1
    for damaged in (b"", b"text", whole[:200], bytes(flipped)):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=r"s\.zip cannot be read"):
            check_occ3d(path, ["a", "b"], SMALL)
