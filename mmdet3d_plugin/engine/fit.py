"""Where a model meets a data set: both must speak of the same classes and the same voxels."""

from __future__ import annotations

import math
from typing import Any

from ..errors import ConfigError
from ..models.network import OccupancyNetwork
from ..models.occupancy_model import OccupancyModel
from ..structures import ClassChannels, LabelSpace, VoxelGrid

_SWITCH = "name the label set in `_base_` (configs/_base_/datasets), or convert labels: tools/convert_labels.py"


def require_fit(model: OccupancyModel, dataset: Any) -> None:
    """Check a model against the labels of a data set, before training or testing (spec/data/defects F3, F7).

    Heads and losses must use the label space of the data set, all grids of the model its box, and the predictions
    its voxels.

    Args:
        model: its modules tell a `ClassChannels` as `channels` and a `VoxelGrid` as `grid`.
        dataset: with `label_space` and `grid`.

    Raises:
        ConfigError: they differ; prints both.
    """
    for name, module in model.named_modules():
        who = f"{name} ({type(module).__name__})"
        channels, grid = getattr(module, "channels", None), getattr(module, "grid", None)
        if isinstance(channels, ClassChannels) and channels.space != dataset.label_space:
            raise ConfigError(
                f"the label space of {who} is not the one of the data set",
                found=_listed(channels.space),
                expected=_listed(dataset.label_space),
                fix=_SWITCH,
            )
        if isinstance(grid, VoxelGrid) and not _same_box(grid, dataset.grid):
            raise ConfigError(
                f"the grid of {who} covers another box than the labels of the data set",
                found=grid,
                expected=f"{dataset.label_space.name}: {dataset.grid}",
                fix="give grids of the model only their `shape`, they then follow `grid` of the data set config",
            )
    if isinstance(model.network, OccupancyNetwork):
        predicted = model.network.output_grid()
        predicted.require_match(dataset.grid, "the predictions", f"the {dataset.label_space.name} labels")


def require_trained_on(meta: dict[str, Any], dataset: Any) -> None:
    """Check that weights were trained on the label space of a data set.

    Args:
        meta: of a checkpoint; published ones and older ones do not name their label space.
        dataset: with `label_space`.

    Raises:
        ConfigError: it is another one; prints both.
    """
    require_trained_on_space(meta, dataset.label_space.name)


def require_trained_on_space(meta: dict[str, Any], label_space: str) -> None:
    """Check that weights were trained on a label space.

    Args:
        meta: see :func:`require_trained_on`.
        label_space: its name.

    Raises:
        ConfigError: it is another one; prints both.
    """
    if meta.get("label_space") not in (None, label_space):
        raise ConfigError(
            "the checkpoint was trained on other labels than those of the data set",
            found=meta["label_space"],
            expected=label_space,
            fix=_SWITCH,
        )


def _same_box(one: VoxelGrid, other: VoxelGrid) -> bool:
    return all(math.isclose(a, b, abs_tol=1e-6) for a, b in zip(one.lower + one.upper, other.lower + other.upper))


def _listed(space: LabelSpace) -> str:
    return f"{space.name}: {', '.join(space.classes)}"
