"""Saved predictions: round trip, foreign files, and every way in which a file can be wrong."""

from __future__ import annotations

import os

import numpy as np
import pytest
import torch
from metric_volumes import FREE, SMALL, SPACE, random_labels

from mmdet3d_plugin.errors import DataError, EvaluationError
from mmdet3d_plugin.evaluation import read_prediction, write_prediction


def test_round_trip(tmp_path):
    labels = random_labels(0)[0]
    flow = torch.randn(2, *labels.shape)
    path = write_prediction(tmp_path, "scene-0001", "abc", labels, flow)
    assert path == tmp_path / "scene-0001" / "abc.npz"
    with np.load(path) as archive:
        assert archive["semantics"].dtype == np.uint8
        assert archive["flow"].dtype == np.float16
        assert archive["flow"].shape == (*SMALL.shape, 2)
        assert archive["semantics"][3, 7, 1] == labels[1, 7, 3]
    saved = read_prediction(path, SMALL, SPACE)
    assert (saved.scene, saved.token) == ("scene-0001", "abc")
    assert torch.equal(saved.occupancy, labels)
    assert torch.equal(saved.flow, flow.half().float())
    assert sorted(os.listdir(path.parent)) == ["abc.npz"]
    assert read_prediction(write_prediction(tmp_path, "s", "t", labels)).flow is None


@pytest.mark.parametrize(("key", "dtype"), [("arr_0", np.uint8), ("pred", np.int64), ("semantics", np.int16)])
def test_files_of_other_code_bases(tmp_path, key, dtype):
    labels = np.full(SMALL.shape, FREE, dtype)
    labels[2, 5, 1] = 4
    np.savez(tmp_path / "t.npz", **{key: labels})
    occupancy = read_prediction(tmp_path / "t.npz", SMALL, SPACE).occupancy
    assert occupancy.dtype == torch.uint8
    assert int(occupancy[1, 5, 2]) == 4


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.zeros((20, 20), np.uint8), r"t[\s\S]*\(20, 20\)[\s\S]*\(20, 20, 4\)"),
        (np.zeros((4, 20, 20), np.uint8), r"t[\s\S]*\[z, y, x\] order"),
        (np.zeros(SMALL.shape, np.float32), r"t[\s\S]*float32"),
        (np.full(SMALL.shape, 18, np.uint8), r"t are out of range[\s\S]*18[\s\S]*0 to 17"),
        (np.full(SMALL.shape, -1, np.int8), r"t are out of range[\s\S]*-1"),
    ],
)
def test_wrong_labels_are_named(tmp_path, labels, message):
    np.savez(tmp_path / "t.npz", semantics=labels)
    with pytest.raises(EvaluationError, match=f"labels of sample {message}"):
        read_prediction(tmp_path / "t.npz", SMALL, SPACE)


def test_wrong_flow_and_keys_are_named(tmp_path):
    labels = np.zeros(SMALL.shape, np.uint8)
    np.savez(tmp_path / "t.npz", semantics=labels, flow=np.zeros((2, *SMALL.shape), np.float16))
    with pytest.raises(EvaluationError, match="flow of sample t"):
        read_prediction(tmp_path / "t.npz", SMALL, SPACE)
    np.savez(tmp_path / "t.npz", labels=labels)
    with pytest.raises(EvaluationError, match="has no labels"):
        read_prediction(tmp_path / "t.npz")


def test_broken_files_are_named(tmp_path):
    path = write_prediction(tmp_path, "s", "t", random_labels(0)[0])
    path.write_bytes(path.read_bytes()[:-60])
    with pytest.raises(DataError, match=r"t\.npz of sample t cannot be read"):
        read_prediction(path)
    path.write_bytes(b"")
    with pytest.raises(DataError, match="cannot be read"):
        read_prediction(path)
    with pytest.raises(DataError, match="does not exist"):
        read_prediction(tmp_path / "s" / "u.npz")


def test_wrong_arrays_are_not_written(tmp_path):
    labels = random_labels(0)[0]
    with pytest.raises(EvaluationError, match="prediction of sample t"):
        write_prediction(tmp_path, "s", "t", labels.long())
    with pytest.raises(EvaluationError, match="flow of sample t"):
        write_prediction(tmp_path, "s", "t", labels, torch.zeros(*labels.shape, 2))
    assert not (tmp_path / "s").exists()


def test_full_disk_leaves_the_old_file(tmp_path, monkeypatch):
    old = write_prediction(tmp_path, "s", "t", random_labels(0)[0])
    content = old.read_bytes()

    def full(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    with pytest.raises(EvaluationError, match=r"(?s)sample t cannot be written.*No space left"):
        write_prediction(tmp_path, "s", "t", random_labels(1)[0])
    assert old.read_bytes() == content
    assert os.listdir(old.parent) == ["t.npz"]
