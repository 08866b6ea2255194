#!/usr/bin/env python
"""Write `nuscenes_infos_{train,val}_sweep.pkl`, with camera sweeps: `python tools/create_data_sweeps.py`."""

from __future__ import annotations

import argparse
import sys

from mmdet3d_plugin.cli import guard
from mmdet3d_plugin.datasets.nuscenes_sweep_infos import create_sweep_infos


def main(arguments: list[str] | None = None) -> None:
    """Write the pickles; options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root-path", default="./data/nuscenes", help="folder of the data set (default: %(default)s)")
    parser.add_argument("--out-dir", help="for the pickles (default: the folder of the data set)")
    parser.add_argument("--version", default="v1.0-trainval", help="v1.0-trainval, v1.0-mini or v1.0-test")
    parser.add_argument("--workers", type=int, help="processes (default: one for each CPU)")
    options = parser.parse_args(arguments)
    out = options.out_dir or options.root_path
    print(*create_sweep_infos(options.root_path, out, options.version, options.workers), sep="\n")


if __name__ == "__main__":
    sys.exit(guard(main))
