"""Checkpoints of any origin as one .safetensors file of ours, with a card that says what they are."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from safetensors.torch import save_file
from torch import nn

from ..apis import build_model
from ..errors import CheckpointError
from ..models.checkpoints.load import Loaded, load_checkpoint
from ..models.checkpoints.read import CARD, SAFETENSORS
from ..version import __version__
from .checkpoint import resolve_checkpoint
from .fit import require_trained_on_space

UNSTATED = "not stated"
_KEPT_META = ("epoch", "iter", "samples", "time", "git", "label_space")  # plain values; others name paths and machines
_CHUNK = 1 << 20  # bytes


def convert_checkpoint(
    cfg: Config, checkpoint: str | Path, out: str | Path, *, license: str = UNSTATED, force: bool = False
) -> dict[str, Any]:
    """Write the weights of a checkpoint as a .safetensors file, and its card beside it as a page of text.

    The weights are loaded into the model of the config first, strictly both ways, so a file that was written fits.
    Both files appear whole or not at all.

    Args:
        cfg: config of the model, as :func:`mmdet3d_plugin.config.load_config` returns it.
        checkpoint: a published file, or one of our own, see :func:`mmdet3d_plugin.apis.load_checkpoint`.
        out: the file to write, FILE.safetensors; the card becomes FILE.md.
        license: under which the weights may be used.
        force: replace files that exist.

    Returns:
        the card, as it stands in the metadata of the file.

    Raises:
        CheckpointError: the checkpoint cannot be read or belongs to another model, or `out` is no .safetensors file,
            exists, or cannot be written.
        ConfigError: the checkpoint was trained on other labels than those of the config.
    """
    out, page = Path(out), Path(out).with_suffix(".md")
    if out.suffix != SAFETENSORS:
        raise CheckpointError(f"{out} is not the name of a {SAFETENSORS} file", expected=f"NAME{SAFETENSORS}")
    if not force and (existing := [str(path) for path in (out, page) if path.exists()]):
        raise CheckpointError(f"{' and '.join(existing)} exists", fix="choose another name, or replace it with --force")
    source = resolve_checkpoint(checkpoint)
    model = build_model(cfg)
    loaded = load_checkpoint(model, source)
    require_trained_on_space(loaded.meta, cfg.label_space)
    card = model_card(cfg, model, source, loaded, license)
    # Tied parameters share memory, which the format does not express: each name gets its own copy.
    state = {key: tensor.clone().contiguous() for key, tensor in model.state_dict().items()}
    temporary, temporary_page = (path.with_name(f".{path.name}.{os.getpid()}") for path in (out, page))
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        save_file(state, temporary, {"format": "pt", CARD: json.dumps(card)})
        temporary_page.write_text(card_page(out.name, card), encoding="utf-8")
        for written in (temporary, temporary_page):
            _flush(written)
        os.replace(temporary_page, page)
        os.replace(temporary, out)
    except OSError as error:
        raise CheckpointError(f"{out} cannot be written", found=error.strerror or error) from error
    finally:
        temporary.unlink(missing_ok=True)
        temporary_page.unlink(missing_ok=True)
    return card


def model_card(cfg: Config, model: nn.Module, source: Path, loaded: Loaded, license: str) -> dict[str, Any]:
    """What a user must know about weights, plain values for JSON.

    Args:
        cfg: config of the model.
        model: holds the weights.
        source: the file that they came from.
        loaded: what was learned while it was loaded.
        license: under which the weights may be used.
    """
    data, mask = cfg.test_dataloader.dataset, cfg.train_dataloader.dataset.get("labels", {}).get("mask", "none")
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return {
        "config": Path(cfg.filename).stem,
        "method": loaded.method or "own training",
        "profile": cfg.profile.name,
        "label_space": cfg.label_space,
        "license": license,
        "parameters": parameters,
        "protocol": {
            "data": " ".join(data[key] for key in ("type", "version") if key in data),
            "grid": {name: list(cfg.grid[name]) for name in ("lower", "upper", "shape")},
            "images": list(data.image.size) if "image" in data else None,
            "training_mask": {"none": "all"}.get(mask, mask),
            "metrics": list(cfg.evaluation.metrics),
            "mode": cfg.evaluation.mode,
        },
        "source": {"file": source.name, "bytes": source.stat().st_size, "sha256": _sha256(source)},
        "source_meta": {key: loaded.meta[key] for key in _KEPT_META if key in loaded.meta},
        "dropped": loaded.dropped,
        "occstudio": __version__,
        "torch": torch.__version__,
    }


def card_page(name: str, card: dict[str, Any]) -> str:
    """The card as a page of Markdown.

    Args:
        name: of the file with the weights.
        card: as :func:`model_card` makes it.
    """
    protocol, source = card["protocol"], card["source"]
    rows = {
        "config": card["config"],
        "method": card["method"],
        "license": card["license"],
        "profile": card["profile"],
        "label space": card["label_space"],
        "parameters": f"{card['parameters']:,}",
        **{f"protocol: {key.replace('_', ' ')}": _plain(value) for key, value in protocol.items()},
        "source file": source["file"],
        "source bytes": f"{source['bytes']:,}",
        "source SHA-256": source["sha256"],
        "written by": f"OccStudio {card['occstudio']}, torch {card['torch']}",
    }
    lines = [f"# {name}", "", "| | |", "| --- | --- |", *(f"| {key} | {value} |" for key, value in rows.items()), ""]
    lines += [f"Test it: `occstudio test configs/.../{card['config']}.py {name}`", ""]
    if card["dropped"]:
        lines += ["Keys of the source that are not needed:", ""]
        lines += [f"* {reason}: {', '.join(f'`{key}`' for key in keys)}" for reason, keys in card["dropped"].items()]
        lines.append("")
    return "\n".join(lines)


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{key} {_plain(item)}" for key, item in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _flush(path: Path) -> None:
    with open(path, "rb") as file:
        os.fsync(file.fileno())
