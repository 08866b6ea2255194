"""Draw the pictures of docs/metrics.md with the code that scores: tools/analysis_tools/draw_metrics.py [FOLDER]"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib
import numpy as np
import torch
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.patches import Patch

from mmdet3d_plugin.evaluation import cast_rays, lidar_rays
from mmdet3d_plugin.evaluation.ray_iou import THRESHOLDS
from mmdet3d_plugin.structures import VoxelGrid

GRID = VoxelGrid((-40.0, -40.0, -1.0), (40.0, 40.0, 5.4), (200, 200, 16))
LIDAR = (0.0, 0.0, 1.8)
TRUTH, PREDICTION, GROUND, UNSEEN = "#1f77b4", "#d62728", "#8c8c8c", "#e4e4e4"


def boxes(*extents: tuple[float, ...]) -> torch.Tensor:
    """[Z, Y, X] bool: ground, and boxes (x, y, z from, x, y, z to) in metres."""
    volume = torch.zeros(GRID.zyx, dtype=torch.bool)
    volume[2] = True
    for extent in extents:
        low, high = (np.rint((np.array(e) - GRID.lower) / 0.4).astype(int) for e in (extent[:3], extent[3:]))
        volume[low[2] : high[2], low[1] : high[1], low[0] : high[0]] = True
    return volume


def cells(hits: torch.Tensor) -> torch.Tensor:
    """[..., 3] cell indices x, y, z of flat indices."""
    width, height = GRID.shape[:2]
    return torch.stack((hits % width, hits // width % height, hits // (width * height)), dim=-1)


def draw_rays(axes: Axes) -> None:
    """Side view of the rays straight ahead: where they end in truth and in a prediction that is 1.2 m off."""
    volumes = torch.stack((boxes((12, -2, 0.2, 16, 2, 1.8)), boxes((13.2, -2, 0.2, 17.2, 2, 1.8))))
    ahead = lidar_rays().view(-1, 360, 3)[:, 0]
    hits = cast_rays(volumes, torch.tensor([LIDAR], dtype=torch.float64), ahead, GRID)
    ends = np.array(LIDAR) + ahead.numpy() * hits.distance[0, 0].numpy()[:, None]
    for end in ends:
        axes.plot([LIDAR[0], end[0]], [LIDAR[2], end[2]], color=TRUTH, linewidth=0.6)
    for volume, colour, order in ((volumes[1], PREDICTION, 1), (volumes[0], TRUTH, 2)):
        for z, x in np.argwhere(volume[:, 100].numpy()):
            corner = (GRID.lower[0] + 0.4 * x, GRID.lower[2] + 0.4 * z)
            face = GROUND if z == 2 else colour
            axes.add_patch(plt.Rectangle(corner, 0.4, 0.4, facecolor=face, alpha=0.35, edgecolor="white", zorder=order))
    for index, colour, marker in ((0, TRUTH, "o"), (1, PREDICTION, "x")):
        end = np.array(LIDAR) + ahead.numpy() * hits.distance[index, 0].numpy()[:, None]
        axes.scatter(end[:, 0], end[:, 2], s=16, color=colour, marker=marker, zorder=4, linewidths=1)
    axes.scatter(LIDAR[0], LIDAR[2], marker="*", s=120, color="black", zorder=5)
    axes.set(xlim=(-1.5, 24), ylim=(-0.8, 5.4), xlabel="x, m (ahead)", ylabel="z, m", aspect="equal")
    axes.set_title("39 of the 14 040 rays. A ray ends where it leaves its first occupied voxel: o truth, x prediction")


def draw_masks(figure: plt.Figure) -> None:
    """Top view of one layer: what `@camera` and what `@all` score."""
    solid = boxes(
        (8, 4, -0.2, 14, 9, 3), (6, -9, -0.2, 10, -6, 3), (-14, -3, -0.2, -9, 2, 3), (22, -14, -0.2, 34, 14, 3)
    )
    solid[2] = False
    layer, seen = 4, torch.zeros(GRID.zyx, dtype=torch.bool)
    level = torch.tensor([[np.cos(a), np.sin(a), 0.0] for a in np.radians(np.arange(0, 360, 0.25))])
    origin = torch.tensor([[0.0, 0.0, GRID.lower[2] + 0.4 * (layer + 0.5)]], dtype=torch.float64)
    reach = cast_rays(solid[None], origin, level.float(), GRID).distance[0, 0]
    steps = torch.arange(0.1, 57, 0.1)
    points = origin[:, None] + level.double()[:, None] * steps[None, :, None]
    index = ((points - torch.tensor(GRID.lower)) / 0.4).floor().long()
    inside = (steps[None] < reach[:, None]) & ((index >= 0) & (index < torch.tensor(GRID.shape))).all(-1)
    x, y, z = index[inside].unbind(-1)
    seen[z, y, x] = True
    colours = ListedColormap([UNSEEN, "#b9b9b9", "white", TRUTH])
    for axes, mask, name in zip(figure.subplots(1, 2), (seen, torch.ones_like(seen)), ("mIoU@camera", "mIoU@all")):
        value = solid[layer].int() + 2 * mask[layer].int()
        axes.imshow(value, origin="lower", extent=(-40, 40, -40, 40), cmap=colours, vmin=0, vmax=3)
        axes.plot(0, 0, marker="*", color="black", markersize=9)
        axes.set(xlabel="x, m", ylabel="y, m", title=f"{name}: {float(mask[layer].float().mean()):.0%} of this layer")
    names = ("occupied, scored", "free, scored", "occupied, not scored", "free, not scored")
    patches = [Patch(facecolor=colours(i), edgecolor="black", label=name) for i, name in zip((3, 2, 1, 0), names)]
    figure.legend(handles=patches, ncols=4, loc="lower center", frameon=False)
    figure.suptitle("A camera mask leaves out what no camera sees, such as the inside and the back of a house")


def draw_thresholds(axes: Axes) -> None:
    """What errors and classes mean for the counts of one class."""
    shades = ("#9ecae1", "#c6dbef", "#eff3ff")
    for shade, threshold in reversed(list(zip(shades, THRESHOLDS))):
        axes.axvspan(-threshold, threshold, color=shade, zorder=0)
        axes.text(threshold - 0.08, 4.55, f"< {threshold} m", ha="right", fontsize=9)
    rays = [
        (0.3, "car, car", "match at 1, 2, 4 m"),
        (-1.0, "car, car", "exactly 1 m: match at 2, 4 m (strict)"),
        (2.7, "car, car", "match at 4 m; at 1, 2 m a false and a missed ray"),
        (0.1, "car, bus", "no match: misses a car ray, adds a bus ray"),
        (-4.6, "car, free", "no match: misses a car ray"),
    ]
    for row, (error, labels, outcome) in enumerate(rays):
        height = 4 - row
        axes.plot(
            error, height, "o" if "match at" in outcome else "x", color=TRUTH if "match at" in outcome else PREDICTION
        )
        axes.text(-7.4, height, labels, va="center", fontsize=9)
        axes.text(5.3, height, outcome, va="center", fontsize=9)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set(xlim=(-7.6, 12.5), ylim=(-0.6, 5), yticks=[], xlabel="d_pred - d_gt, m", xticks=range(-5, 6))
    axes.set_title("Five rays (truth, prediction): each is one ray of G(car); P gets its predicted class")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=Path("docs/images"), help="(default: %(default)s)")
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    matplotlib.use("agg")
    plt.rcParams.update({"svg.hashsalt": "occstudio", "font.size": 10})
    pictures = {"rays": (11, 3.6), "masks": (10, 5.4), "thresholds": (11, 3.2)}
    for name, size in pictures.items():
        figure = plt.figure(figsize=size, layout="constrained" if name != "masks" else None)
        if name == "masks":
            draw_masks(figure)
        else:
            {"rays": draw_rays, "thresholds": draw_thresholds}[name](figure.subplots())
        figure.savefig(folder / f"metrics_{name}.png", dpi=90, metadata={"Software": None})


if __name__ == "__main__":
    main()
