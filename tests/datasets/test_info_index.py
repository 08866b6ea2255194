"""Info pickles, as published, and the tables are two sources of the same index and the same batches."""

from __future__ import annotations

import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from comparison import equal, rerooted

from mmdet3d_plugin.datasets import NuScenesOccDataset, SampleRequest, collate, info_index
from mmdet3d_plugin.datasets.index import KeyFrameIndex, load_index
from mmdet3d_plugin.datasets.info_index import below_root, load_infos
from mmdet3d_plugin.datasets.labels import Occ3DLabels, OpenOccLabels, OpenOccupancyLabels, SurroundOccLabels
from mmdet3d_plugin.datasets.nuscenes_infos import create_infos
from mmdet3d_plugin.errors import DataError
from mmdet3d_plugin.restricted_pickle import load_pickle

VERSION = "v1.0-mini"
VAL = "bevdetv2-nuscenes_infos_val.pkl"


@pytest.fixture(scope="module")
def infos_world(tiny_world, tmp_path_factory) -> Path:
    """The tiny world with the pickles that our converter wrote elsewhere, under another root."""
    root = tmp_path_factory.mktemp("infos") / "nuscenes"
    shutil.copytree(tiny_world, root)
    create_infos(str(root), root, "bevdetv2-nuscenes", VERSION, 1, progress=False)
    for file in root.glob("*.pkl"):
        file.write_bytes(pickle.dumps(rerooted(load_pickle(file), str(root)), 4))
    return root


@pytest.fixture
def copy(infos_world, tmp_path) -> Path:
    """One that a test may damage: its own tables and pickles over shared images."""
    root = tmp_path / "nuscenes"
    root.mkdir()
    for entry in infos_world.iterdir():
        if entry.suffix == ".pkl":
            shutil.copy(entry, root)
        elif entry.name == VERSION:
            shutil.copytree(entry, root / entry.name)
        elif entry.name != ".occstudio":
            (root / entry.name).symlink_to(entry)
    return root


def edit(path: Path, change) -> None:
    content = load_pickle(path)
    for info in content["infos"]:
        change(info)
    path.write_bytes(pickle.dumps(content, 2))


def dataset(root: Path, split: str, labels=Occ3DLabels, **changes) -> NuScenesOccDataset:
    arguments = {
        "root": str(root),
        "version": VERSION,
        "split": split,
        "labels": {"type": labels.__name__, "grid": labels.native_grid},
        "image": {"type": "ImagePipeline", "size": (64, 176)},
    }
    return NuScenesOccDataset(**(arguments | changes))


AUGMENTED = {
    "image": {"type": "ImagePipeline", "size": (64, 176), "resize": (-0.06, 0.11), "flip": 0.5, "rotation": 0.09},
    "scene": {"type": "SceneAugmentation", "flip_x": 0.5, "flip_y": 0.5, "rotation": 0.3},
    "depth": {"type": "DepthMaps", "depth_range": (1.0, 45.0), "semantics": True},
    "sequences_split": 2,
}
PUBLISHED = {"resampling": "pil", "pixel_center": False}


@pytest.mark.parametrize("labels", [Occ3DLabels, OpenOccLabels, SurroundOccLabels])
@pytest.mark.parametrize("profile", ["corrected", "published"])
@pytest.mark.parametrize("mode", ["train", "evaluate"])
def test_batches_of_both_sources_are_the_same_to_the_bit(infos_world, mode, profile, labels):
    split = "train" if mode == "train" else "val"
    options: dict = {"mode": mode, "load_adjacent": True, **(AUGMENTED if mode == "train" else {})}
    if profile == "published":
        image = options.get("image", {"type": "ImagePipeline", "size": (64, 176)}) | PUBLISHED
        options |= {"key_frame": "cam_front_ego", "image": image}
    tables = dataset(infos_world, split, labels, **options)
    infos = dataset(infos_world, f"bevdetv2-nuscenes_infos_{split}.pkl", labels, **options)
    assert equal(tables.index, infos.index)
    assert len(tables) == len(infos) == (8 if mode == "train" else 4)
    assert equal(tables.streams.sequence, infos.streams.sequence)
    for first in range(0, len(tables), 2):
        requests = [SampleRequest(first, 3), SampleRequest(first + 1, 4)]
        batch = collate([tables[r] for r in requests])
        assert equal(batch, collate([infos[r] for r in requests]))
        assert batch.targets is not None
        assert (batch.targets.ray_origins is None) == (mode == "train" or labels is SurroundOccLabels)


def test_the_comparison_notices_a_change(infos_world):
    batch, other = (collate([dataset(infos_world, VAL, mode="evaluate")[i]]) for i in (0, 1))
    assert equal(batch, batch)
    assert not equal(batch, other)


def test_no_tables_are_needed(copy):
    shutil.rmtree(copy / VERSION)
    assert len(dataset(copy, VAL, mode="evaluate")[1].ray_origins) == 4


def test_both_names_of_a_pickle(copy):
    expected = load_infos(copy, VERSION, VAL)
    (copy / VAL).rename(copy / "val.pkl")
    for name in (VAL, "val.pkl", str(copy / "val.pkl")):
        load_infos.cache_clear()
        assert equal(load_infos(copy, VERSION, name), expected)
    with pytest.raises(DataError, match=r"(?s)bevdetv2-nuscenes_infos_tain\.pkl does not exist.*found: .*train\.pkl"):
        load_infos(copy, VERSION, "bevdetv2-nuscenes_infos_tain.pkl")


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        ("./data/nuscenes/samples/LIDAR_TOP/a.bin", "samples/LIDAR_TOP/a.bin"),
        ("samples/CAM_FRONT/a.jpg", "samples/CAM_FRONT/a.jpg"),
        ("/mnt/samples/nuscenes/sweeps/CAM_FRONT/a.jpg", "sweeps/CAM_FRONT/a.jpg"),
        ("D:\\data\\nuscenes\\samples\\CAM_FRONT\\a.jpg", "samples/CAM_FRONT/a.jpg"),
    ],
)
def test_paths_are_moved_below_the_root(stored, expected):
    assert below_root(stored, "x.pkl") == expected


@pytest.mark.parametrize("stored", ["a.jpg", "/etc/passwd", "samples/../../a.jpg", "mysamples/a.jpg", "samples/"])
def test_paths_outside_of_the_root_are_refused(stored):
    with pytest.raises(DataError, match=r"x\.pkl names a file outside"):
        below_root(stored, "x.pkl")


def test_what_old_converters_left_out_is_found_in_the_tables(copy):
    complete = load_infos(copy, VERSION, VAL)

    def forget(info: dict) -> None:
        for key in ("lidar_token", "scene_name", "prev", "ann_infos", "occ_path", "sweeps", "gt_boxes"):
            del info[key]

    edit(copy / VAL, forget)
    load_infos.cache_clear()
    assert equal(load_infos(copy, VERSION, VAL), complete)
    (copy / VERSION / "sample_data.json").unlink()
    load_infos.cache_clear()
    assert set(load_infos(copy, VERSION, VAL).lidar_token) == {""}
    (copy / VERSION / "scene.json").unlink()
    load_infos.cache_clear()
    with pytest.raises(DataError, match=r"(?s)lacks `scene_name`.*create_data_bevdet"):
        load_infos(copy, VERSION, VAL)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda i: i.pop("token"), "no field 'token'"),
        (lambda i: i.pop("scene_token"), "no field 'scene_token'"),
        (lambda i: i["cams"].pop("CAM_BACK"), "no field 'CAM_BACK'"),
        (lambda i: i["cams"]["CAM_BACK"].pop("sensor2ego_rotation"), "no field 'sensor2ego_rotation'"),
        (lambda i: i["cams"]["CAM_BACK"].update(cam_intrinsic=np.eye(4)), "another format"),
        (lambda i: i.update(timestamp="soon"), "another format"),
        (lambda i: i.update(cams=None), "another format"),
        (lambda i: i.update(lidar_path="/elsewhere/a.bin"), "outside of the data set"),
    ],
)
def test_broken_infos_are_named(copy, change, message):
    edit(copy / VAL, change)
    with pytest.raises(DataError, match=message) as caught:
        load_infos(copy, VERSION, VAL)
    assert VAL in str(caught.value)


@pytest.mark.parametrize("content", [[], {"infos": []}, {"infos": [1]}, {"waymo": {}}, "text"])
def test_other_pickles_are_named(copy, content):
    (copy / VAL).write_bytes(pickle.dumps(content))
    with pytest.raises(DataError, match="is not an info pickle"):
        load_infos(copy, VERSION, VAL)


def test_a_hostile_pickle_runs_nothing(copy):
    class Hostile:
        def __reduce__(self):
            return os.system, ("touch pwned",)

    (copy / VAL).write_bytes(pickle.dumps({"infos": [Hostile()]}))
    with pytest.raises(DataError, match=rf"(?s)refers to something.*{os.name}\.system"):
        dataset(copy, VAL)
    assert not Path("pwned").exists()


def test_image_sizes_are_measured_at_every_start(copy, monkeypatch):
    load_infos(copy, VERSION, VAL)
    load_infos.cache_clear()
    monkeypatch.setattr(info_index, "load_pickle", None)  # the columns are on disk by now
    index = load_infos(copy, VERSION, VAL)
    assert equal(index.image_size, load_index(copy, VERSION).image_size[: len(index)])
    (copy / "samples").unlink()
    load_infos.cache_clear()
    with pytest.raises(DataError, match="do not say how large images are"):
        load_infos(copy, VERSION, VAL)


def test_the_index_is_the_one_of_the_tables(infos_world):
    assert isinstance(load_infos(infos_world, VERSION, VAL), KeyFrameIndex)


def test_labels_that_are_named_after_the_lidar_token_need_one(copy):
    edit(copy / VAL, lambda info: info.pop("lidar_token"))
    (copy / VERSION / "sample_data.json").unlink()
    (copy / "nuScenes-Occupancy-v0.1").mkdir()
    with pytest.raises(DataError, match=r"(?s)named after a lidar token that its info lacks.*do this"):
        dataset(copy, VAL, OpenOccupancyLabels)
