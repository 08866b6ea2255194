"""Damaged files of every kind: a DataError that names the file, or the content; never another exception.

Other seeds: `pytest tests/datasets/test_fuzz.py --hypothesis-seed 1`.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable

import cv2
import handmade
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mmdet3d_plugin.datasets import files
from mmdet3d_plugin.datasets.index import load_index
from mmdet3d_plugin.datasets.labels import KeyFrameName, label_set
from mmdet3d_plugin.datasets.splits import split_scenes
from mmdet3d_plugin.datasets.tables import read_table
from mmdet3d_plugin.errors import ConfigError, DataError, EvaluationError
from mmdet3d_plugin.evaluation import read_prediction

NAME = KeyFrameName("scene", "scene_token", "1005012", "samples/LIDAR_TOP/lidar.pcd.bin", "lidar_token")
FUZZ = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@st.composite
def damage(draw: st.DrawFn) -> tuple:
    """A recipe: what happens to the bytes of a file."""
    kind = draw(st.sampled_from(["cut", "flip", "zero", "insert", "shuffle", "replace"]))
    return kind, draw(st.floats(0, 1)), draw(st.integers(1, 64)), draw(st.binary(min_size=1, max_size=64))


def damaged(data: bytes, recipe: tuple) -> bytes:
    kind, place, length, noise = recipe
    start = int(place * len(data))
    before, middle, after = data[:start], data[start : start + length], data[start + length :]
    return {
        "cut": lambda: before,
        "flip": lambda: before + bytes(b ^ noise[i % len(noise)] for i, b in enumerate(middle)) + after,
        "zero": lambda: before + bytes(len(middle)) + after,
        "insert": lambda: before + noise + middle + after,
        "shuffle": lambda: middle + after + before,
        "replace": lambda: noise,
    }[kind]()


def npz(**arrays: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    return stream.getvalue()


def npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


SHAPE = (200, 200, 16)
RNG = np.random.default_rng(0)
ONES = np.ones(SHAPE, np.uint8)
ROWS = np.concatenate((RNG.integers(0, 16, (50, 3)), RNG.integers(0, 17, (50, 1))), axis=1)
LABELS = {
    "occ3d": npz(semantics=RNG.integers(0, 18, SHAPE).astype(np.uint8), mask_camera=ONES, mask_lidar=ONES),
    "openocc": npz(semantics=RNG.integers(0, 17, SHAPE).astype(np.int32), flow=np.zeros((*SHAPE, 2), np.float32)),
    "surroundocc": npy(ROWS),
    "openoccupancy": npy(ROWS),
    "occ3d-waymo": npz(
        voxel_label=np.full(SHAPE, 23, np.uint8), origin_voxel_state=ONES, final_voxel_state=ONES, infov=ONES
    ),
}
_, _JPEG = cv2.imencode(".jpg", RNG.integers(0, 255, (90, 160, 3)).astype(np.uint8))
JPEG = _JPEG.tobytes()
SWEEP = RNG.normal(size=(300, 5)).astype("<f4").tobytes()
TABLE = json.dumps([{"token": f"t{i}", "translation": [1.0, 2.0, i], "name": "ä"} for i in range(40)]).encode()


def require_content_or_name(read: Callable[[], object], name: object) -> None:
    """Reading gives content, or an error that says `name`."""
    message = str(name)
    try:
        read()
    except (DataError, EvaluationError, ConfigError) as error:
        message = str(error)
    assert str(name) in message


@pytest.mark.parametrize("name", ["occ3d", "openocc", "occ3d-waymo"])
def test_an_array_without_its_header(tmp_path, name):
    """numpy gives bytes instead of an array, and no error."""
    labels = label_set(name)
    (path,) = labels.paths(tmp_path, NAME)[:1]
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(io.BytesIO(LABELS[name])) as whole, zipfile.ZipFile(path, "w") as broken:
        for member in whole.namelist():
            broken.writestr(member, b"?" + whole.read(member)[1:])
    with pytest.raises(DataError, match=rf"{path.name}[\s\S]*is not an array"):
        labels.load(tmp_path, NAME, training=False)
    with pytest.raises(EvaluationError if name == "occ3d-waymo" else DataError, match=path.name):
        read_prediction(path)


@pytest.mark.parametrize("name", LABELS)
@FUZZ
@given(recipe=damage())
def test_labels(tmp_path, name, recipe):
    labels = label_set(name)
    (path,) = labels.paths(tmp_path, NAME)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(damaged(LABELS[name], recipe))
    require_content_or_name(lambda: labels.load(tmp_path, NAME, training=True), path.name)


@pytest.mark.parametrize("reader", ["fast", "pillow"])
@FUZZ
@given(recipe=damage())
def test_images(tmp_path, reader, recipe):
    path = tmp_path / "image.jpg"
    path.write_bytes(damaged(JPEG, recipe))
    read = files.read_jpeg if reader == "fast" else files.read_jpeg_pillow
    require_content_or_name(lambda: read(path, (160, 90)), path.name)


@FUZZ
@given(recipe=damage())
def test_sweeps(tmp_path, recipe):
    path = tmp_path / "lidar.pcd.bin"
    path.write_bytes(damaged(SWEEP, recipe))
    require_content_or_name(lambda: files.read_points(path), path.name)


@FUZZ
@given(recipe=damage())
def test_predictions(tmp_path, recipe):
    labels = label_set("openocc")
    path = tmp_path / "scene" / "token.npz"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(damaged(LABELS["openocc"], recipe))
    require_content_or_name(lambda: read_prediction(path, labels.grid, labels.space), "token")


@FUZZ
@given(recipe=damage())
def test_tables(tmp_path, recipe):
    path = tmp_path / "sample.json"
    path.write_bytes(damaged(TABLE, recipe))
    require_content_or_name(lambda: list(read_table(tmp_path, "sample")), path.name)


@FUZZ
@given(recipe=damage())
def test_splits(tmp_path, recipe):
    path = tmp_path / "splits.json"
    path.write_bytes(damaged(json.dumps({"train": ["scene-0001"], "val": ["scene-0002"]}).encode(), recipe))
    scenes = ["scene-0001", "scene-0002"]
    require_content_or_name(lambda: split_scenes(tmp_path, "v1.0-mini", "val", scenes), tmp_path)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=5),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=3), children, max_size=2),
    max_leaves=6,
)


@FUZZ
@given(data=st.data())
def test_fields_of_other_types(world, tmp_path_factory, data):
    """Any field of any record of any table becomes any JSON value, or is gone."""
    root = tmp_path_factory.mktemp("tables")
    (root / handmade.VERSION).mkdir()
    sources = sorted((world / handmade.VERSION).glob("*.json"))
    chosen = data.draw(st.sampled_from(["sample", "sample_data", "ego_pose", "calibrated_sensor", "sensor", "scene"]))
    for source in sources:
        records = json.loads(source.read_text())
        if source.stem == chosen:
            record = data.draw(st.sampled_from(records))
            key = data.draw(st.sampled_from(sorted(record)))
            record[key] = data.draw(JSON_VALUES)
            if data.draw(st.booleans()):
                del record[key]
        (root / handmade.VERSION / source.name).write_text(json.dumps(records))
    load_index.cache_clear()
    require_content_or_name(lambda: load_index(root, handmade.VERSION), "")
