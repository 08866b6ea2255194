"""Reading checkpoint files without running code in them."""

from __future__ import annotations

import json
import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ...errors import CheckpointError
from .key_map import abbreviated

SAFETENSORS = ".safetensors"
CARD = "occstudio"  # key of the model card in the metadata of a .safetensors file
_PARALLEL = "module."  # what data-parallel wrappers put before every key
_WRAPPERS = ("state_dict", "model")  # keys under which files keep their tensors
_NEEDED = re.compile(r"GLOBAL (\S+)")


def read_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Weights and meta data of a checkpoint file, on the CPU.

    Args:
        path: a file of PyTorch with a dict of tensors, or one under "state_dict" (as mmcv and mmengine write it,
            files of averaged weights among them) or "model", or a .safetensors file.

    Returns:
        tensors by key, and the meta data, empty where there are none.

    Raises:
        CheckpointError: the file is missing, truncated, needs code, or holds no weights.
    """
    if not path.is_file():
        raise CheckpointError(f"checkpoint {path} does not exist", fix="give the path of a .pth or .safetensors file")
    if path.suffix == SAFETENSORS:
        return _read_safetensors(path)
    content = _read_torch(path)
    state = next((content[key] for key in _WRAPPERS if isinstance(content.get(key), Mapping)), content)
    if not isinstance(state, Mapping) or not state or not all(isinstance(t, Tensor) for t in state.values()):
        raise CheckpointError(
            f"checkpoint {path} holds no weights",
            found=f"keys {abbreviated(map(str, content))}",
            expected="a dict of tensors, or one under 'state_dict'",
        )
    if all(key.startswith(_PARALLEL) for key in state):
        state = {key.removeprefix(_PARALLEL): tensor for key, tensor in state.items()}
    meta = content.get("meta", {})
    return dict(state), dict(meta) if isinstance(meta, Mapping) else {}


def _read_torch(path: Path) -> dict[str, Any]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        needed = sorted(set(_NEEDED.findall(str(error))))
        what = (
            "reading it would run code stored in the file" if needed else "it is damaged, or reading it would run code"
        )
        raise CheckpointError(
            f"checkpoint {path} is refused: {what}",
            found=f"it asks for {', '.join(needed)}" if needed else str(error).splitlines()[0],
            expected="a file that holds tensors and plain values only",
            fix="if you trust its origin, load it once with torch.load(path, weights_only=False) and save "
            "only its 'state_dict'",
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError) as error:
        raise _damaged(path, error) from error
    if not isinstance(content, dict):
        raise CheckpointError(f"checkpoint {path} holds no weights", found=type(content).__name__, expected="a dict")
    return content


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  # not iterable itself
            return state, json.loads(metadata.get(CARD, "{}"))
    except (SafetensorError, OSError, ValueError) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> CheckpointError:
    return CheckpointError(
        f"checkpoint {path} cannot be read, it is truncated or no checkpoint",
        found=f"{path.stat().st_size} bytes; {(str(error) or 'end of file').splitlines()[0]}",
        fix="copy or download the file again",
    )
