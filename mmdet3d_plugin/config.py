"""Loading configs: mmengine's Python configs plus named profiles."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

from mmengine.config import Config

from .errors import ConfigError, closest
from .registry import MODELS, SCOPE


def load_config(path: str | Path, options: dict[str, Any] | None = None) -> Config:
    """Read a config file, apply `--cfg-options`, then the profile that the config names.

    A profile (`configs/_base_/profiles/*.py`) is `profile = dict(name=..., arguments={class name: {argument:
    value}})`. Every dict of the config whose `type` is one of those classes receives the arguments that it
    does not set itself: this is how all published quirks are switched on by one base file (design,
    section 4).

    A data set file (`configs/_base_/datasets/*.py`) says with `label_space` and `grid` which labels there are and
    where. The model follows: its classes that take `labels` receive the label space, and a grid that gives only its
    `shape` covers the box of the labels. So one line of `_base_` switches the label set; what a config sets itself
    stays, and is checked against the data set before training and testing.

    Args:
        path: config file.
        options: dotted keys and values, as `--cfg-options` gives them; a key must exist in the config.

    Raises:
        ConfigError: the file is missing or cannot be read, or an option names a key that the config lacks.
    """
    path = Path(path)
    if not path.is_file():
        siblings = [p.name for p in path.parent.glob("*.py")] if path.parent.is_dir() else []
        raise ConfigError(
            f"config file {path} does not exist",
            expected=closest(path.name, siblings) if siblings else "a .py file",
        )
    try:
        cfg = Config.fromfile(path)
    except (KeyError, SyntaxError, FileNotFoundError) as error:
        raise ConfigError(f"config file {path} cannot be read", found=error) from error
    for key in options or {}:
        _require_key(cfg, key)
    cfg.merge_from_dict(options or {})
    _follow_labels(cfg._cfg_dict.get("model"), cfg.get("label_space"), cfg.get("grid"))
    profile = cfg.get("profile")
    if profile is not None:
        _apply_arguments(cfg._cfg_dict, profile["arguments"])
    return cfg


def _require_key(cfg: Config, dotted: str) -> None:
    """Refuse an option whose parent does not exist; only a dict with a `type` may get a new last part."""
    node: Any = cfg
    parts = dotted.split(".")
    for depth, part in enumerate(parts):
        if isinstance(node, (list, tuple)):
            if not part.isdigit() or int(part) >= len(node):
                raise ConfigError(f"option {dotted!r}: {'.'.join(parts[:depth])} has no element {part!r}")
            node = node[int(part)]
            continue
        if not hasattr(node, "keys"):
            raise ConfigError(f"option {dotted!r}: {'.'.join(parts[:depth])} is {node!r}, not a dict")
        if part not in node:
            if depth == len(parts) - 1 and "type" in node:
                return  # an argument left at its default; the registry checks that the class takes it
            raise ConfigError(
                f"option {dotted!r}: the config has no such key", expected=closest(part, list(node.keys()))
            )
        node = node[part]


def _apply_arguments(node: Any, arguments: dict[str, dict[str, Any]]) -> None:
    if isinstance(node, dict):
        for name, value in arguments.get(node.get("type"), {}).items() if isinstance(node.get("type"), str) else ():
            node.setdefault(name, value)
        for child in node.values():
            _apply_arguments(child, arguments)
    elif isinstance(node, (list, tuple)):
        for child in node:
            _apply_arguments(child, arguments)


def _follow_labels(node: Any, space: str | None, grid: dict[str, Any] | None) -> None:
    """Fill in what the model leaves to the labels of its data set: the label space, and the box of its grids."""
    if isinstance(node, dict):
        if space is not None and _takes_labels(node.get("type")):
            node.setdefault("labels", space)
        if grid is not None and isinstance(node.get("grid"), dict):
            for corner in ("lower", "upper"):
                node["grid"].setdefault(corner, grid[corner])
        for child in node.values():
            _follow_labels(child, space, grid)
    elif isinstance(node, (list, tuple)):
        for child in node:
            _follow_labels(child, space, grid)


def _takes_labels(kind: Any) -> bool:
    """Whether the name is that of a model class of ours that is told its label space."""
    found = MODELS.get(kind) if isinstance(kind, str) else None
    if not inspect.isclass(found) or not found.__module__.startswith(f"{SCOPE}."):
        return False
    return "labels" in inspect.signature(found.__init__).parameters
