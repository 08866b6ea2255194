"""How much a model computes: operations and parameters of every stage."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any

import torch
from mmengine.config import Config
from torch.utils.flop_counter import FlopCounterMode

from ..apis import build_model
from ..cli import guard
from ..config import load_config
from ..structures import TemporalState
from .example import example_frame, image_shape

COUNTED = "matrix products, convolutions and attention; not interpolation, pooling, scattering or norms"


def count_flops(cfg: Config, shape: tuple[int, int] | None = None) -> dict[str, Any]:
    """Operations for one frame in the middle of a stream, batch size 1.

    Args:
        cfg: a config.
        shape: (height, width) of the images, that of the config if None.

    Returns:
        `total` and `stages`: FLOP (a multiplication and an addition are two), MAC (= FLOP / 2) and
        parameters.
    """
    shape = shape or image_shape(cfg)
    model = build_model(cfg).eval().requires_grad_(False)  # the counter follows gradients where there are any
    network, state = model.network, TemporalState()
    with torch.no_grad():
        _, state = network(model.preprocessor(example_frame(cfg, 0, shape)), state)
        frame = model.preprocessor(example_frame(cfg, 1, shape))
        with FlopCounterMode(display=False) as counter:
            network(frame, state)
    counts = counter.get_flop_counts()
    stages = {
        name: _entry(sum(counts.get(f"{type(network).__name__}.{name}", {}).values()), stage)
        for name, stage in network.named_children()
    }
    return {
        "images": [6, *shape],
        "unit": "1 MAC (multiply-accumulate) = 2 FLOP",
        "counted": COUNTED,
        "total": _entry(counter.get_total_flops(), network),
        "stages": stages,
    }


def _entry(flops: int, module: torch.nn.Module) -> dict[str, int]:
    parameters = sum(p.numel() for p in module.parameters())
    return {"flop": int(flops), "mac": int(flops) // 2, "parameters": parameters}


def format_flops(result: dict[str, Any]) -> str:
    """A table of :func:`count_flops` for the console."""
    lines = [f"{'stage':<18} {'GFLOP':>10} {'GMAC':>10} {'M parameters':>14}"]
    for name, entry in [*result["stages"].items(), ("total", result["total"])]:
        flop, mac, parameters = entry["flop"] / 1e9, entry["mac"] / 1e9, entry["parameters"] / 1e6
        lines.append(f"{name:<18} {flop:>10.2f} {mac:>10.2f} {parameters:>14.2f}")
    lines.append(f"{result['unit']}; counted: {result['counted']}; images {result['images']}, one frame")
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of tools/analysis_tools/get_flops.py."""
    parser = argparse.ArgumentParser(description="Count operations; works on random weights without data")
    parser.add_argument("config")
    parser.add_argument("--modality", choices=("image",), default="image", help="input of the model")
    parser.add_argument("--shape", type=int, nargs=2, metavar=("HEIGHT", "WIDTH"), help="of the images")
    parser.add_argument("--json", action="store_true", help="JSON instead of a table")
    options = parser.parse_args(arguments)
    return guard(lambda: _run(options))


def _run(options: argparse.Namespace) -> None:
    result = count_flops(load_config(options.config), options.shape and tuple(options.shape))
    sys.stdout.write(json.dumps(result, indent=2) + "\n" if options.json else format_flops(result))
