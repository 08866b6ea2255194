"""Start-up and memory with as many key frames as nuScenes has."""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from torch.utils.data import DataLoader

from mmdet3d_plugin.datasets import NuScenesOccDataset, collate, init_worker
from mmdet3d_plugin.datasets.index import CAMERAS, KeyFrameIndex, load_index, scene_columns
from mmdet3d_plugin.datasets.index_cache import cached
from mmdet3d_plugin.datasets.key_frames import TABLES
from mmdet3d_plugin.datasets.labels import SurroundOccLabels
from mmdet3d_plugin.geometry.transforms import pose_matrix

VERSION = "v1.0-trainval"
SCENES, FRAMES = 850, 34_149
SIZE = (160, 90)


def large_index() -> KeyFrameIndex:
    """Columns of the size of v1.0-trainval, with the lengths of its tokens and file names."""
    rng = np.random.default_rng(0)
    scene = np.sort(rng.integers(0, SCENES, FRAMES))
    tokens = [f"{i:032x}" for i in range(SCENES)]
    order, number, previous = scene_columns([tokens[i] for i in scene])

    def poses(*shape: int) -> np.ndarray:
        return pose_matrix(rng.normal(size=(*shape, 4)), rng.normal(scale=1000, size=(*shape, 3)))

    log = "n015-2018-07-24-11-22-45+0800"
    return KeyFrameIndex(
        scene_names=np.array([f"scene-{i:04d}" for i in range(len(order))]),
        scene_tokens=np.array(order),
        scene=number,
        token=np.array([f"{i:032x}" for i in range(FRAMES)]),
        timestamp=np.arange(FRAMES) * 500_000,
        previous=previous,
        global_from_ego=poses(FRAMES),
        ego_from_lidar=poses(FRAMES),
        lidar_token=np.array([f"{i:032x}" for i in range(FRAMES)]),
        lidar_file=np.array([f"samples/LIDAR_TOP/{log}__LIDAR_TOP__{i:016d}.pcd.bin" for i in range(FRAMES)]),
        camera_global_from_ego=poses(FRAMES, 6),
        camera_ego_from_cam=poses(FRAMES, 6),
        intrinsics=rng.normal(size=(FRAMES, 6, 3, 3)),
        image_size=np.full((FRAMES, 6, 2), SIZE),
        image_file=np.array([[f"samples/{c}/{log}__{c}__{i:016d}.jpg" for c in CAMERAS] for i in range(FRAMES)]),
    )


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """A data set of that size: its index, label files for every key frame, and images for the first two."""
    root = tmp_path_factory.mktemp("large")
    tables = [root / VERSION / f"{name}.json" for name in TABLES]
    tables[0].parent.mkdir()
    for table in tables:
        table.write_text("[]")
    index = cached(KeyFrameIndex, root, f"tables-{VERSION}", tables, large_index)
    names = index.scene_names.tolist()
    train = [name for name in names if int(name[-4:]) % 6]
    (root / "splits.json").write_text(json.dumps({"train": train, "val": sorted({*names} - {*train})}))
    (root / "gts_surroundocc" / "samples").mkdir(parents=True)
    for file in index.lidar_file.tolist():
        (root / "gts_surroundocc" / "samples" / f"{Path(file).name}.npy").touch()
    chosen = index.select(train)
    for row in range(2):
        np.save(root / "gts_surroundocc" / "samples" / f"{Path(chosen.lidar_file[row]).name}.npy", [[1, 2, 3, 4]])
        for file in chosen.image_file[row].tolist():
            (root / file).parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(root / file), np.zeros((SIZE[1], SIZE[0], 3), np.uint8))
    return root


def dataset(root: Path) -> NuScenesOccDataset:
    labels = {"type": "SurroundOccLabels", "grid": SurroundOccLabels.native_grid}
    return NuScenesOccDataset(str(root), VERSION, "train", labels, {"type": "ImagePipeline", "size": (32, 88)})


def test_start_to_the_first_batch(root):
    load_index.cache_clear()
    started = time.perf_counter()
    data = dataset(root)
    loader = DataLoader(data, 2, sampler=[0, 1], num_workers=2, collate_fn=collate, worker_init_fn=init_worker)
    batch = next(iter(loader))
    seconds = time.perf_counter() - started
    assert batch.frames[0].meta.token == tuple(data.tokens[:2])
    assert 25_000 < len(data) < 32_000
    assert seconds < 30


def private_kilobytes() -> int:
    """Memory of this process that it shares with no other."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(("Private_Clean", "Private_Dirty")))


def _read(root: Path, index: KeyFrameIndex | None, results) -> None:
    before = private_kilobytes()
    load_index.cache_clear()
    table = index or load_index(root, VERSION)
    total = sum(int(getattr(table, f.name).reshape(-1).view(np.uint8).sum()) for f in dataclasses.fields(table))
    results.put((private_kilobytes() - before, total))


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").is_file(), reason="memory is read from Linux")
def test_processes_share_the_index(root):
    """Two processes that open it, then two loader processes that inherit a selection: both read every byte."""
    chosen = dataset(root).index
    size = sum(getattr(chosen, f.name).nbytes for f in dataclasses.fields(chosen))
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    for given in (None, chosen):
        workers = [context.Process(target=_read, args=(root, given, results)) for _ in range(2)]
        for worker in workers:
            worker.start()
        used = [1024 * results.get(timeout=60)[0] for _ in workers]
        for worker in workers:
            worker.join()
        assert max(used) < 0.1 * size, (used, size)
