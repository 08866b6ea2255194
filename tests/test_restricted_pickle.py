from __future__ import annotations

import contextlib
import os
import pickle
import shutil
import struct
from collections import OrderedDict

import numpy as np
import pytest

from mmdet3d_plugin.errors import DataError
from mmdet3d_plugin.restricted_pickle import load_pickle

shared = np.arange(3)
CONTENT = {
    "infos": [{"token": "ä", "pose": np.eye(4), "boxes": (np.zeros((0, 7)), [1, 2])}, None, True, 1.5, b"raw", 1 << 70],
    "names": np.array(["car", "größer"]),
    "objects": np.array([["a", shared], [None, np.float32(2)]], dtype=object),
    "fortran": np.asfortranarray(np.arange(6, dtype=">i2").reshape(2, 3)),
    "scalars": [np.float32(0.1), np.int64(-3), np.bool_(True), np.str_("text"), np.str_("")],
    "types": (np.dtype("<f4"), {1, 2}, frozenset("ab"), complex(1, 2)),
    "shared": [shared, (shared,), shared],
    "zero": [np.zeros(()), np.array([], dtype="<U5"), np.array(["", ""]), b""],
}


def equal(a: object, b: object) -> bool:
    if isinstance(a, np.ndarray):
        assert isinstance(b, np.ndarray)
        return a.shape == b.shape and a.dtype == b.dtype and all(map(equal, a.flat, b.flat))
    if isinstance(a, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(map(equal, a, b))
    if isinstance(a, dict):
        return list(a) == list(b) and all(equal(a[k], b[k]) for k in a)
    return type(a) is type(b) and a == b


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_what_infos_are_made_of_comes_back(tmp_path, protocol):
    path = tmp_path / "infos.pkl"
    path.write_bytes(pickle.dumps(CONTENT, protocol))
    content = load_pickle(path)
    assert equal(CONTENT, content)
    first, (second,), third = content["shared"]
    assert first is second is third


def test_names_of_numpy_1(tmp_path):
    path = tmp_path / "infos.pkl"
    path.write_bytes(pickle.dumps([np.eye(2), np.float64(3)], 2).replace(b"numpy._core", b"numpy.core"))
    assert equal(load_pickle(path), [np.eye(2), np.float64(3)])


class Call:
    """Pickles as a call of any function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (Call(os.system, "touch pwned"), f"{os.name}.system"),
        (Call(eval, "1"), "builtins.eval"),
        (Call(getattr, {}, "pop"), "builtins.getattr"),
        (OrderedDict(a=1), "collections.OrderedDict"),
        (Call(shutil.rmtree, "x"), "shutil.rmtree"),
        (Call(np.load, "x"), "numpy.load"),
        (Call(np.fromfile, "x"), "fromfile"),
    ],
)
@pytest.mark.parametrize("protocol", [2, 4])
def test_any_other_global_is_refused_by_name(tmp_path, monkeypatch, value, name, protocol):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "hostile.pkl"
    path.write_bytes(pickle.dumps({"infos": [value]}, protocol))
    with pytest.raises(DataError, match=r"(?s)hostile\.pkl refers to") as caught:
        load_pickle(path)
    assert name.replace("builtins", "") in str(caught.value)
    assert os.listdir(tmp_path) == ["hostile.pkl"]


def test_damaged_files_are_named(tmp_path):
    whole = pickle.dumps(CONTENT, 4)
    path = tmp_path / "damaged.pkl"
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(DataError, match=r"damaged\.pkl cannot be read"):
            load_pickle(path)
    rng = np.random.default_rng(0)
    for _ in range(300):
        data = bytearray(whole)
        for position in rng.integers(0, len(data), 3):
            data[position] = rng.integers(256)
        path.write_bytes(data)
        with contextlib.suppress(DataError):
            load_pickle(path)
    with pytest.raises(DataError, match=r"(?s)missing\.pkl cannot be read.*No such file"):
        load_pickle(tmp_path / "missing.pkl")


def array_pickle(code: str, shape: tuple, content: object) -> bytes:
    """A pickle of an array that says what it likes of its memory."""
    dtype = pickle.dumps(Call(np.dtype, code, False, True), 2)[2:-1]
    order = pickle.dumps((3, "<", None, None, None, -1, -1, 0), 2)[2:-1] + b"b"
    make = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85U\x01btR"
    dimensions, memory = (pickle.dumps(value, 0)[:-1] for value in (shape, content))
    return b"".join([make, b"(I1\n", dimensions, dtype, order, b"I00\n", memory, b"tb."])


@pytest.mark.parametrize(
    ("code", "shape", "content"),
    [
        ("f8", (1 << 40,), b"12345678"),
        ("f8", (-5, 3), b"12345678"),
        ("O8", (4,), b"\x01" * 32),
        ("V8", (1,), b"12345678"),
        ("U1", (1,), b"\xff\xff\xff\xff"),
        ("f8", "text", b"12345678"),
        ("U0", (1 << 40,), b""),
    ],
)
def test_lies_about_memory_do_not_reach_numpy(tmp_path, code, shape, content):
    path = tmp_path / "hostile.pkl"
    path.write_bytes(array_pickle(code, shape, content))
    with pytest.raises(DataError, match=r"hostile\.pkl cannot be read"):
        load_pickle(path)


def test_the_hostile_arrays_above_are_well_formed_otherwise(tmp_path):
    path = tmp_path / "array.pkl"
    path.write_bytes(array_pickle("f8", (2,), struct.pack("<2d", 1, 2)))
    assert equal(load_pickle(path), np.array([1.0, 2.0]))


def test_stand_ins_cannot_be_changed_by_a_pickle(tmp_path):
    path = tmp_path / "hostile.pkl"
    for name in (
        "numpy\ndtype",
        "numpy\nndarray",
        "numpy.core.multiarray\nscalar",
        "_codecs\nencode",
        "builtins\ndict",
    ):
        for state in ({"value": 1}, (None, {"value": 1, "__new__": 2})):
            path.write_bytes(b"c" + name.encode() + b"\n" + pickle.dumps(state, 2)[2:-1] + b"b.")
            with pytest.raises(DataError, match="cannot be read"):
                load_pickle(path)
    path.write_bytes(pickle.dumps(CONTENT))
    assert equal(CONTENT, load_pickle(path))


def test_deep_nesting_is_an_error_and_not_a_crash(tmp_path):
    path = tmp_path / "deep.pkl"
    path.write_bytes(b"]" * 100_000 + b"a" * 99_999 + b".")
    with pytest.raises(DataError, match=r"deep\.pkl"):
        load_pickle(path)


def test_cycles(tmp_path):
    loop: list = [np.eye(2)]
    loop.append((loop,))
    path = tmp_path / "cycle.pkl"
    path.write_bytes(pickle.dumps(loop))
    content = load_pickle(path)
    assert content[1][0] is content
    assert isinstance(content[0], np.ndarray)
