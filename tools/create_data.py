#!/usr/bin/env python
"""Make or prepare data sets: `python tools/create_data.py synthetic --out-dir data/synthetic --preset small`."""

from __future__ import annotations

import argparse
import sys

from mmdet3d_plugin.datasets.synthetic import create_world
from mmdet3d_plugin.errors import OccStudioError


def synthetic(options: argparse.Namespace) -> None:
    """Write a synthetic driving world in the formats of nuScenes."""
    create_world(
        options.out_dir,
        options.preset,
        options.seed,
        options.workers,
        openoccupancy=options.openoccupancy,
        image_scale=options.image_scale,
    )


def parse() -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    world = commands.add_parser("synthetic", help="a generated driving world, no download needed")
    world.add_argument("--out-dir", default="data/synthetic", help="root of the data set (default: %(default)s)")
    world.add_argument(
        "--preset", default="small", choices=["tiny", "small", "learn"], help="size (default: %(default)s)"
    )
    world.add_argument("--seed", type=int, default=0, help="of every random choice (default: %(default)s)")
    world.add_argument("--workers", type=int, help="processes (default: one for each CPU)")
    world.add_argument("--openoccupancy", action="store_true", help="also write OpenOccupancy labels")
    world.add_argument("--image-scale", type=float, help="share of 1600 x 900 pixels (default: that of the preset)")
    world.set_defaults(run=synthetic)
    return parser.parse_args()


if __name__ == "__main__":
    options = parse()
    try:
        options.run(options)
    except OccStudioError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("interrupted; run the same command again to go on")
