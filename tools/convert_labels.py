#!/usr/bin/env python
"""Labels of nuScenes in the format of another annotation: `python tools/convert_labels.py --from surroundocc --to occ3d
--out data/nuscenes/gts_from_surroundocc`."""

from __future__ import annotations

import argparse
import sys

from mmdet3d_plugin.cli import guard
from mmdet3d_plugin.datasets.conversion import convert_split


def main(arguments: list[str] | None = None) -> None:
    """Convert a split; options of the command line."""
    names = "occ3d, openocc, surroundocc or openoccupancy"
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", default="data/nuscenes", help="folder of the data set (default: %(default)s)")
    parser.add_argument("--version", default="v1.0-trainval", help="folder of its tables (default: %(default)s)")
    parser.add_argument("--split", default="val", help="(default: %(default)s)")
    parser.add_argument("--from", dest="source", required=True, metavar="LABELS", help=names)
    parser.add_argument("--to", dest="target", required=True, metavar="LABELS", help=names)
    parser.add_argument("--out", required=True, help="folder for the new labels")
    parser.add_argument("--workers", type=int, help="processes (default: one for each CPU)")
    options = vars(parser.parse_args(arguments))
    count = convert_split(options.pop("root"), options.pop("out"), **options)
    print(f"{count} key frames converted; set `folder` of the labels to that folder to use them")


if __name__ == "__main__":
    sys.exit(guard(main))
