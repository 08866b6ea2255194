"""Time and memory of the first start on tables of the size of nuScenes: `python benchmarks/bench_index.py`.

Writes tables like those of v1.0-trainval into a temporary folder (2 GB, a minute), makes the index of the key frames in
a fresh process, then opens it in another one, and prints a line of JSON for each. Processor time is what a busy machine
does not change; memory is the peak of the process, and what it needs before it reads anything.

    python benchmarks/bench_index.py [--scenes 850] [--frames 34149] [--folder FOLDER]
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "datasets"))
from full_tables import FRAMES, SCENES, write_full_tables

from mmdet3d_plugin.datasets.index import load_index
from mmdet3d_plugin.datasets.index_cache import FOLDER

VERSION = "v1.0-trainval"


def peak_megabytes() -> float:
    """The most memory that this process has had, MB (Linux)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def measure(what: str, root: Path) -> None:
    """Print one line: seconds and memory of `load_index`."""
    before, wall, processor = peak_megabytes(), time.perf_counter(), time.process_time()
    index = load_index(root, VERSION)
    result = {
        "what": what,
        "key_frames": len(index),
        "seconds": round(time.perf_counter() - wall, 2),
        "processor_seconds": round(time.process_time() - processor, 2),
        "peak_mb": round(peak_megabytes()),
        "peak_mb_before": round(before),
    }
    print(json.dumps(result), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenes", type=int, default=SCENES)
    parser.add_argument("--frames", type=int, default=FRAMES)
    parser.add_argument(
        "--folder", type=Path, help="of the tables, kept for the next call; a temporary one if not given"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        root = (options.folder or Path(temporary)).resolve()
        if not (root / VERSION / "ego_pose.json").is_file():
            write_full_tables(root / VERSION, options.scenes, options.frames)
        shutil.rmtree(root / FOLDER, ignore_errors=True)
        context = multiprocessing.get_context("spawn")
        for what in ("first start: tables are read", "later start: columns are mapped"):
            process = context.Process(target=measure, args=(what, root))
            process.start()
            process.join()


if __name__ == "__main__":
    main()
