"""Reading checkpoints: our own, and published ones by their key table. Loading is strict both ways."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ...errors import CheckpointError
from .key_map import KeyTable, abbreviated
from .tables import TABLES

_LOGGER = logging.getLogger(__name__)
_NETWORK = "network."


def load_checkpoint(model: nn.Module, path: str | Path) -> dict[str, Any]:
    """Load weights into a model, in place.

    Args:
        model: a network, or a model that holds one as `network`.
        path: file of our own training, or a published checkpoint, which is recognised by its keys and
            converted. Code inside of a file is never executed.

    Returns:
        the meta data of the checkpoint, empty where it has none.

    Raises:
        CheckpointError: the file is missing, truncated, needs code, holds no weights, or belongs to another
            model.
    """
    content = _read(Path(path))
    state = content.get("state_dict", content)
    if not isinstance(state, Mapping) or not state or not all(isinstance(t, Tensor) for t in state.values()):
        raise CheckpointError(
            f"checkpoint {path} holds no weights",
            found=f"keys {abbreviated(map(str, content))}",
            expected="a dict of tensors, or one under 'state_dict'",
        )
    inner = getattr(model, "network", None)
    network = inner if isinstance(inner, nn.Module) else model
    table = next((table for table in TABLES if table.recognises(state)), None)
    if table is not None:
        for reason, keys in load_published(network, state, table, str(path)).items():
            _LOGGER.info("%s: %d keys not needed (%s)", path, len(keys), reason)
    elif network is model:
        _load_strictly(model, {key.removeprefix(_NETWORK): tensor for key, tensor in state.items()}, str(path))
    else:
        _load_strictly(model, state, str(path))
    return dict(content.get("meta", {}))


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
        CheckpointError: a key has no rule, a parameter of the network stays unfilled, or a shape differs.
    """
    ours, dropped = table.convert(state)
    _load_strictly(network, ours, f"{name} (published {table.method})")
    return dropped


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise CheckpointError(f"checkpoint {path} does not exist", fix="give the path of a .pth file")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"checkpoint {path} is refused: it is damaged, or reading it would run code stored in the file",
            found=str(error).splitlines()[0],
            expected="a file that holds tensors and plain values only",
            fix="if you trust its origin, load it once with torch.load(path, weights_only=False) and save "
            "only its 'state_dict'",
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError) as error:
        raise CheckpointError(
            f"checkpoint {path} cannot be read, it is truncated or no checkpoint",
            found=f"{path.stat().st_size} bytes; {(str(error) or 'end of file').splitlines()[0]}",
            fix="copy or download the file again",
        ) from error
    if not isinstance(content, dict):
        raise CheckpointError(f"checkpoint {path} holds no weights", found=type(content).__name__, expected="a dict")
    return content


def _load_strictly(module: nn.Module, state: Mapping[str, Tensor], name: str) -> None:
    """Fill every parameter and buffer of `module`, or raise a CheckpointError that lists what differs."""
    own = module.state_dict()
    problems = []
    if missing := own.keys() - state.keys():
        problems.append(f"{len(missing)} tensors of the model are not in it: {abbreviated(missing)}")
    if unexpected := state.keys() - own.keys():
        problems.append(f"{len(unexpected)} of its tensors are not in the model: {abbreviated(unexpected)}")
    if shapes := [
        f"{key}: {tuple(state[key].shape)}, model {tuple(own[key].shape)}"
        for key in own.keys() & state.keys()
        if own[key].shape != state[key].shape
    ]:
        problems.append(f"{len(shapes)} tensors have another shape: {abbreviated(shapes)}")
    if problems:
        head_only = not missing and not unexpected and all("head." in line for line in shapes)
        raise CheckpointError(
            f"checkpoint {name} belongs to another model",
            found="\n            ".join(problems),
            fix="it was trained with another number of classes: use the label space of its data set and, for "
            "published weights, the profile `published`"
            if head_only
            else "use the config that the checkpoint was trained with",
        )
    module.load_state_dict(dict(state))
