"""A loader process needs as much memory at the end of an epoch as at its start."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mmdet3d_plugin.datasets import NuScenesOccDataset, StreamingBatchSampler
from mmdet3d_plugin.datasets.image_cache import ImageCache
from mmdet3d_plugin.engine.loaders import build_loader, checked

sys.path.append(str(Path(__file__).resolve().parents[1] / "datasets"))
import handmade

SAMPLES = 240
IMAGE_BYTES = 90 * 160 * 3
LEAK = IMAGE_BYTES * SAMPLES * 3 // 4  # of one decoded image a sample, while memory is watched
# Images go back to the system when they are freed, so that memory in use is what is seen.
ALLOCATOR = {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": "32768"}


class Watched(NuScenesOccDataset):
    """Notes the memory of its process before every sample: always at the same point of the work, however busy the
    machine is, and whatever the trainer does in the meantime."""

    sizes: Path

    def __getitem__(self, request):
        with self.sizes.open("a") as file:
            file.write(f"{private_bytes()}\n")
        return super().__getitem__(request)


class Leaking(Watched):
    """Forgets no image: what the bound must find out."""

    def __getitem__(self, request):
        self.__dict__.setdefault("kept", []).append(np.ones(IMAGE_BYTES, np.uint8))
        return super().__getitem__(request)


def private_bytes() -> int:
    """Memory of this process that is neither a file nor shared with the trainer."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line.split()[1] for line in lines if line.startswith("RssAnon")))


def growth(kind: type[Watched], root: Path) -> int:
    """Bytes by which one loader process grows from the second eighth of its samples to the last one."""
    dataset = kind(**handmade.config(root, scene=None, depth=None))
    dataset.image_cache = ImageCache(14 * IMAGE_BYTES)  # two frames and a bit: images come and go
    dataset.sizes = root / f"{kind.__name__}.txt"
    loader = build_loader(dataset, StreamingBatchSampler(dataset.sequences, lanes_per_process=1), 1)
    for _ in checked(loader, SAMPLES):
        pass
    sizes = np.array(dataset.sizes.read_text().split(), dtype=np.int64)[:SAMPLES]
    assert len(sizes) == SAMPLES
    eighths = np.median(sizes.reshape(8, -1), axis=1)
    return int(eighths[-1] - eighths[1])


def measured(kind: type[Watched], root: Path) -> int:
    """`growth` in a fresh interpreter: loader processes inherit the free memory of their parent."""
    command = [sys.executable, __file__, kind.__name__, str(root)]
    done = subprocess.run(command, env={**os.environ, **ALLOCATOR}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_of_a_loader_process_is_flat(tmp_path):
    root = handmade.write(tmp_path / "nuscenes")
    assert measured(Watched, root) < LEAK / 4
    assert measured(Leaking, root) > LEAK / 2


if __name__ == "__main__":
    print(growth({"Watched": Watched, "Leaking": Leaking}[sys.argv[1]], Path(sys.argv[2])))
