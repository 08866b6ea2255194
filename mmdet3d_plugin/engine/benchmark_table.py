"""Speed and memory of several models side by side, each measured in a process of its own."""

from __future__ import annotations

import argparse
import ctypes
import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from torch import nn

from ..apis import build_model
from ..config import load_config
from ..errors import OccStudioError
from ..models.occupancy_model import OccupancyModel
from ..structures import OccBatch
from .benchmark import timed
from .environment import describe_environment
from .example import example_stream, image_shape

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
# Of the published implementation at inference, MiB, as its authors state it; without a statement of the device.
PUBLISHED_MEMORY = {
    "alocc_2d_mini_r50_256x704_bevdet_preatrain_16f": 1605,
    "alocc_2d_r50_256x704_bevdet_preatrain_16f": 5553,
    "alocc_3d_r50_256x704_bevdet_preatrain_16f": 10793,
    "alocc_3d_r50_256x704_bevdet_preatrain_gdfusion": 4347,
    "bevdetocc_r50_256x704_bevdet_pretrain_solofusion_16f": 10717,
    "bevdetocc_r50_256x704_bevdet_pretrain_gdfusion": 3017,
}
_PUBLISHED = re.compile(r"_(r50|swin_base|internimage_tiny)_.*(?<!_wo_mask)$")  # those trained without mask are equal
_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_HEAD = (
    "config", "input", "parameters", "float32: frames/s", "MiB", "bfloat16: frames/s", "MiB", "labels equal",
    "published MiB",
)  # fmt: skip


class PeakMemory:
    """The most memory that a model needs, MiB: allocated on the GPU; on the CPU what becomes resident from now on.

    Args:
        model: loaded already; on the CPU its weights are added, on a GPU they are among what is allocated.

    Raises:
        OccStudioError: of a CPU process on a system without Linux' /proc.
    """

    def __init__(self, device: torch.device, model: nn.Module) -> None:
        self.device = device
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
            return
        if not _CLEAR.exists():
            raise OccStudioError(
                "the memory of a process cannot be measured", found=f"no {_CLEAR}", fix="run on Linux, or on a GPU"
            )
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # what was freed before must not count as free room
        if trim is not None:
            trim(0)
        _CLEAR.write_text("5")  # resets VmHWM
        self.before = _kib("VmRSS")
        self.weights = sum(tensor.numel() * tensor.element_size() for tensor in (*model.parameters(), *model.buffers()))

    def mib(self) -> float:
        """Peak since the construction."""
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self.device) / 2**20
        return (_kib("VmHWM") - self.before) / 2**10 + self.weights / 2**20


def _kib(name: str) -> int:
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1])


def measure(
    cfg: Config, *, frames: int, warm_up: int, device: str | None = None, golden: Path | None = None
) -> dict[str, Any]:
    """Stream one sequence in float32 and again in bfloat16, batch size 1.

    Args:
        cfg: a config.
        frames: measured frames.
        warm_up: frames before them, which also fill the history.
        device: the GPU if there is one when None.
        golden: folder of golden figures; weights as made for them, random ones if None. Labels of untrained models
            agree more than those of trained ones where they have few classes.

    Returns:
        plain values for JSON: frames per second and peak memory of both, and the share of equal labels.
    """
    where = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    model = _model(cfg, golden).to(where).eval()
    shape = image_shape(cfg)
    runs: dict[str, dict[str, float]] = {}
    labels: dict[str, list[torch.Tensor]] = {}
    for dtype in ("float32", "bfloat16"):
        model.reset_stream()
        stream = example_stream(cfg, shape, where)
        memory, seconds, kept = PeakMemory(where, model), [], []
        with torch.inference_mode(), torch.autocast(where.type, torch.bfloat16, enabled=dtype == "bfloat16"):
            for number in range(warm_up + frames):
                taken, predicted = timed(model, OccBatch((next(stream),)), where)
                if number >= warm_up:
                    seconds.append(taken)
                    kept.append(predicted.occupancy.cpu())
        labels[dtype] = kept
        runs[dtype] = {"fps": len(seconds) / sum(seconds), "peak_mib": memory.mib()}
    equal = torch.stack([(a == b).float().mean() for a, b in zip(*labels.values())])
    environment = describe_environment()
    return {
        "config": Path(cfg.filename).stem,
        "device": environment["devices"][0] if where.type == "cuda" else environment["devices"][-1],
        "on_gpu": where.type == "cuda",
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "images": [*next(example_stream(cfg, shape)).images.shape[1:]],
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "weights": "random" if golden is None else "made for the golden figures",
        "frames": frames,
        "warm_up": warm_up,
        **runs,
        "labels_equal": float(equal.mean()),
    }


def _model(cfg: Config, golden: Path | None) -> OccupancyModel:
    if golden is None:
        torch.manual_seed(0)
        return build_model(cfg)
    from ..parity import build_parity_model

    return build_parity_model(Path(cfg.filename).stem, golden, seed=0)


def table(results: Sequence[dict[str, Any]], failed: dict[str, str]) -> str:
    """The measured models as Markdown.

    Args:
        results: as :func:`measure` returns them, of one device.
        failed: what went wrong with others, by config.
    """
    rows = [_HEAD, ("---",) + ("---:",) * (len(_HEAD) - 1), *map(_row, results)]
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    lines += [f"\n{config} could not be measured: {reason}" for config, reason in failed.items()]
    if results:
        first = results[0]
        what = (
            "the GPU memory allocated at most, weights included"
            if first["on_gpu"]
            else "the growth of the resident memory over the loaded model, and its weights"
        )
        lines.append(
            f"\nOne sequence, batch size 1, images in memory; {first['frames']} frames after {first['warm_up']}; "
            f"{first['device']}, torch {first['torch']}; weights {first['weights']}. "
            f"MiB is {what}. Labels equal: share of voxels with the same label in both types, mean over the frames. "
            "Published MiB is what the authors of the published implementation state."
        )
    return "\n".join(lines) + "\n"


def _row(result: dict[str, Any]) -> tuple[str, ...]:
    cameras, _, height, width = result["images"]
    published = PUBLISHED_MEMORY.get(result["config"])
    speeds = [
        text for dtype in ("float32", "bfloat16") for text in (f"{result[dtype]['fps']:.3g}", _mib(result[dtype]))
    ]
    return (
        result["config"],
        f"{cameras} x {height} x {width}",
        f"{result['parameters'] / 1e6:.1f} M",
        *speeds,
        f"{100 * result['labels_equal']:.2f} %",
        "-" if published is None else str(published),
    )


def _mib(run: dict[str, float]) -> str:
    return f"{run['peak_mib']:.0f}"


def write_table(
    configs: Sequence[str], out: Path | None, frames: int, warm_up: int, device: str | None, golden: Path | None
) -> int:
    """Measure configs one after the other and print the table.

    Args:
        configs: config files; every published one if empty.
        out: page that receives the table too, after every config.
        frames, warm_up, device, golden: see :func:`measure`.

    Returns:
        0, or 1 when a config could not be measured.
    """
    paths = [Path(config) for config in configs] or [
        path for path in sorted(CONFIGS.glob("[!_]*/*.py")) if _PUBLISHED.search(path.stem)
    ]
    options = ["--frames", str(frames), "--warm-up", str(warm_up)]
    options += ["--device", device] if device else []
    options += ["--golden", str(golden)] if golden else []
    results, failed = [], {}
    for number, path in enumerate(paths, start=1):
        sys.stderr.write(f"[{number}/{len(paths)}] {path.stem}\n")
        command = [sys.executable, "-m", "mmdet3d_plugin.engine.benchmark_table", str(path), *options]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            said = done.stderr.strip().splitlines() or [f"status {done.returncode}"]
            failed[path.stem] = said[-1]
        else:
            results.append(json.loads(done.stdout.strip().splitlines()[-1]))
        if out is not None:
            out.write_text(_page(table(results, failed), configs, options))
    sys.stdout.write(table(results, failed))
    return 1 if failed else 0


def _page(measured: str, configs: Sequence[str], options: Sequence[str]) -> str:
    """A table with the command that makes it."""
    command = ["python tools/analysis_tools/benchmark.py", *options, "--table" if configs else "--all"]
    lines = [" ".join(command), *(f"    {config}" for config in configs)]
    return "# Speed and memory\n\n```\n" + " \\\n".join(lines) + f"\n```\n\n{measured}"


def main() -> None:
    """Measure one config and print JSON; the table starts this for each."""
    parser = argparse.ArgumentParser(description=measure.__doc__)
    parser.add_argument("config")
    parser.add_argument("--frames", type=int, required=True)
    parser.add_argument("--warm-up", type=int, required=True)
    parser.add_argument("--device")
    parser.add_argument("--golden", type=Path)
    options = vars(parser.parse_args())
    try:
        result = measure(load_config(options.pop("config")), **options)
    except OccStudioError as error:
        raise SystemExit(str(error).splitlines()[0]) from error  # the last line on stderr is what the table quotes
    sys.stdout.write(f"{json.dumps(result)}\n")


if __name__ == "__main__":
    main()
