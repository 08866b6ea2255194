#!/usr/bin/env python
"""Write `data/lidar_seg/<sweep>.npz`, classes of lidar points for the published stack, from lidarseg:
`python tools/nusc_process/extract_sem_point.py`."""

from __future__ import annotations

import argparse
import sys

from mmdet3d_plugin.cli import guard
from mmdet3d_plugin.datasets.point_files import extract_point_classes


def main(arguments: list[str] | None = None) -> None:
    """Write the files; options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root-path", default="./data/nuscenes", help="folder of the data set (default: %(default)s)")
    parser.add_argument("--out-dir", default="./data/lidar_seg", help="for the files (default: %(default)s)")
    parser.add_argument("--version", default="v1.0-trainval", help="v1.0-trainval or v1.0-mini (default: %(default)s)")
    parser.add_argument("--workers", type=int, help="processes (default: one for each CPU)")
    options = parser.parse_args(arguments)
    count = extract_point_classes(options.root_path, options.out_dir, options.version, options.workers)
    print(f"{count} sweeps in {options.out_dir}")


if __name__ == "__main__":
    sys.exit(guard(main))
