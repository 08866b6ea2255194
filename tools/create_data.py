#!/usr/bin/env python
"""Make or prepare data sets: `python tools/create_data.py synthetic --out-dir data/synthetic --preset small`, or
`python tools/create_data.py nuscenes --root-path ./data/nuscenes --out-dir ./data/nuscenes --extra-tag nuscenes`."""

from __future__ import annotations

import argparse
import sys

from mmdet3d_plugin.datasets.nuscenes_infos import create_infos
from mmdet3d_plugin.datasets.synthetic import LidarFlaws, create_world
from mmdet3d_plugin.datasets.synthetic.presets import PRESETS
from mmdet3d_plugin.errors import OccStudioError

DEFAULT_FOLDERS = {
    "nuscenes": "data/synthetic",
    "waymo": "data/synthetic-waymo",
    "four-cameras": "data/synthetic-four-cameras",
}


def synthetic(options: argparse.Namespace) -> None:
    """Write a synthetic driving world."""
    create_world(
        options.out_dir or DEFAULT_FOLDERS[options.layout],
        options.preset,
        options.seed,
        options.workers,
        layout=options.layout,
        openoccupancy=options.openoccupancy,
        sweeps=options.sweeps,
        flaws=LidarFlaws(options.range_noise, options.own_car),
        image_scale=options.image_scale,
    )


def nuscenes(options: argparse.Namespace) -> None:
    """Write the info pickles of nuScenes for the published stack; our own reader does not need them."""
    files = create_infos(options.root_path, options.out_dir, options.extra_tag, options.version, options.workers)
    print("\n".join(map(str, files)))


def parse() -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    world = commands.add_parser("synthetic", help="a generated driving world, no download needed")
    world.add_argument(
        "--layout", default="nuscenes", choices=list(DEFAULT_FOLDERS), help="formats (default: %(default)s)"
    )
    folders = ", ".join(DEFAULT_FOLDERS.values())
    world.add_argument("--out-dir", help=f"root of the data set (default, by layout: {folders})")
    world.add_argument("--preset", default="small", choices=list(PRESETS), help="size (default: %(default)s)")
    world.add_argument("--seed", type=int, default=0, help="of every random choice (default: %(default)s)")
    world.add_argument("--workers", type=int, help="processes (default: one for each CPU)")
    world.add_argument("--openoccupancy", action="store_true", help="also write OpenOccupancy labels")
    world.add_argument(
        "--sweeps",
        type=int,
        default=0,
        help="images of each camera between two key frames, 5 for 12 Hz as in nuScenes; with any also nine lidar sweeps"
        " (default: %(default)s)",
    )
    world.add_argument(
        "--range-noise",
        type=float,
        default=0.0,
        help="standard deviation of lidar distances in metres, 0.01 is realistic (default: %(default)s)",
    )
    world.add_argument("--own-car", action="store_true", help="lidar returns of the roof of the ego vehicle")
    world.add_argument("--image-scale", type=float, help="share of full size (default: that of the preset)")
    world.set_defaults(run=synthetic)
    infos = commands.add_parser("nuscenes", help="info pickles of nuScenes, for the published stack")
    infos.add_argument("--root-path", default="./data/nuscenes", help="folder of the data set (default: %(default)s)")
    infos.add_argument("--out-dir", default="./data/nuscenes", help="for the pickles (default: %(default)s)")
    infos.add_argument("--extra-tag", default="nuscenes", help="what their names start with (default: %(default)s)")
    infos.add_argument("--version", default="v1.0-trainval", help="v1.0-trainval, v1.0-mini or v1.0-test")
    infos.add_argument("--workers", type=int, help="processes (default: one for each CPU)")
    infos.set_defaults(run=nuscenes)
    return parser.parse_args()


if __name__ == "__main__":
    options = parse()
    try:
        options.run(options)
    except OccStudioError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("interrupted; run the same command again to go on")
