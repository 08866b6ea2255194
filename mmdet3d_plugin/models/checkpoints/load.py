"""Filling models from checkpoints: our own, and published ones by their key table. Loading is strict both ways."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from ...errors import CheckpointError
from ...structures import ClassChannels
from ...structures.labels import LABEL_SPACES
from .key_map import Conversion, KeyTable, abbreviated
from .read import read_checkpoint
from .tables import TABLES

_LOGGER = logging.getLogger(__name__)
_NETWORK = "network."


@dataclass(frozen=True)
class Loaded:
    """What was learned while a checkpoint was loaded.

    Attributes:
        meta: meta data of the file, empty where it has none.
        method: the published method whose keys were converted; None for a file of our own.
        dropped: published keys that were not needed, by reason.
    """

    meta: dict[str, Any]
    method: str | None = None
    dropped: dict[str, list[str]] = field(default_factory=dict)


def load_checkpoint(model: nn.Module, path: str | Path) -> Loaded:
    """Load weights into a model, in place.

    Args:
        model: a network, or a model that holds one as `network`.
        path: file of our own training, a .safetensors file, or a published checkpoint, which is recognised by its
            keys and converted. Code inside of a file is never executed.

    Raises:
        CheckpointError: the file is missing, truncated, needs code, holds no weights, or belongs to another
            model.
    """
    state, meta = read_checkpoint(Path(path))
    inner = getattr(model, "network", None)
    network = inner if isinstance(inner, nn.Module) else model
    table = next((table for table in TABLES if table.recognises(state)), None)
    if table is not None:
        dropped = load_published(network, state, table, str(path))
        for reason, keys in dropped.items():
            _LOGGER.info("%s: %d keys not needed (%s)", path, len(keys), reason)
        return Loaded(meta, table.method, dropped)
    if network is model:
        state = {key.removeprefix(_NETWORK): tensor for key, tensor in state.items()}
    _load_strictly(model, Conversion(state), str(path))
    return Loaded(meta)


def load_published(network: nn.Module, state: Mapping[str, Tensor], table: KeyTable, name: str) -> dict[str, list[str]]:
    """Load a published state dict into a network, in place.

    Args:
        network: an `OccupancyNetwork`.
        state: published keys and tensors.
        table: the table of its method.
        name: how error messages call the state dict.

    Returns:
        the keys that were not needed, by reason.

    Raises:
        CheckpointError: a key has no rule, a parameter of the network stays unfilled, a shape differs, or tensors
            that must be equal are not. Published names are given beside ours.
    """
    conversion = table.match(state)
    _load_strictly(network, conversion, f"{name} (published {table.method})", table)
    return conversion.dropped


def _load_strictly(module: nn.Module, conversion: Conversion, name: str, table: KeyTable | None = None) -> None:
    """Fill every parameter and buffer of `module`, or raise a CheckpointError that lists what differs."""
    own, state, origin = module.state_dict(), conversion.state, conversion.origin
    problems = list(conversion.problems)
    if table is not None and conversion.unknown:
        count = len(conversion.unknown)
        problems.append(f"{count} of its keys are in no rule of {table.method}: {abbreviated(conversion.unknown)}")
    if missing := own.keys() - state.keys():
        named = [_with(key, table.published_names(key) if table else []) for key in missing]
        problems.append(f"{len(missing)} tensors of the model are not in it: {abbreviated(named)}")
    if unexpected := state.keys() - own.keys():
        named = [_with(key, [origin[key]] if key in origin else []) for key in unexpected]
        problems.append(f"{len(unexpected)} of its tensors are not in the model: {abbreviated(named)}")
    differing = {key for key in own.keys() & state.keys() if own[key].shape != state[key].shape}
    if differing:
        shapes = [f"{key}: {tuple(state[key].shape)}, model {tuple(own[key].shape)}" for key in differing]
        problems.append(f"{len(shapes)} tensors have another shape: {abbreviated(shapes)}")
    if problems:
        classes = _other_classes(module, {key: (state[key], own[key]) for key in differing})
        raise CheckpointError(
            f"checkpoint {name} belongs to another model",
            found="\n            ".join(problems),
            fix=classes or _way_out(table, len(missing), len(own)),
        )
    module.load_state_dict(state)


def _with(key: str, published: list[str]) -> str:
    return f"{key} (published {' or '.join(published)})" if published else key


def _way_out(table: KeyTable | None, missing: int, total: int) -> str:
    if table is None and missing == total:
        methods = ", ".join(table.method for table in TABLES)
        return f"none of its keys is ours; published checkpoints are known of {methods}"
    if table is None:
        return "use the config that the checkpoint was trained with"
    return (
        f"use the config with the name of the checkpoint, one of {table.method}; if it is the right one, the file was "
        "changed or is damaged"
    )


def _other_classes(module: nn.Module, pairs: Mapping[str, tuple[Tensor, Tensor]]) -> str | None:
    """The way out where nothing but the number of classes differs, else None.

    Args:
        module: knows its classes as `channels` of some part.
        pairs: tensor of the file and of the model, where their shapes differ.
    """
    known = next(
        (m.channels for m in module.modules() if isinstance(getattr(m, "channels", None), ClassChannels)), None
    )
    if known is None or not pairs:
        return None
    numbers = set()
    for theirs, ours in pairs.values():
        sizes = [(a, b) for a, b in zip(theirs.shape, ours.shape) if a != b]
        if theirs.dim() != ours.dim() or len(sizes) != 1 or sizes[0][1] != known.num_channels:
            return None
        numbers.add(sizes[0][0])
    if len(numbers) != 1:
        return None
    (number,) = numbers
    suited = [
        f"{space.name}{' in the profile `published`' if void else ''}"
        for void in (True, False)
        for space in LABEL_SPACES.values()
        if ClassChannels(space, void).num_channels == number
    ]
    return (
        f"it was trained with {number} class channels, the model has {known.num_channels} ({known.space.name}"
        f"{' with a void channel' if known.void else ''}): use the config of its data set. "
        f"{number} channels suit {' or '.join(suited) or 'no known label space'}"
    )
