"""Measures a lifting op: time, and bytes moved over time against a copy on the same device.

Bytes are what the op must move at least: every input read once and the output written once forward; all of these and
their gradients backward. A device copy of the same number of bytes is the roof; the ratio says how far an
implementation is from it.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "ops"))
from lifting_cases import SIZES, Size, camera_points

from mmdet3d_plugin.ops import use_reference
from mmdet3d_plugin.ops.backend import runs_kernel

Op = Callable[[Tensor, Tensor, Tensor, tuple[int, int, int]], Tensor]
Variants = dict[str, Op]


def median_time(function: Callable[[], object], device: str, seconds: float) -> float:
    """Median time of a call in seconds, after a warm-up; calls are repeated for about `seconds`, at least 3 times."""

    def once() -> float:
        if device == "cuda":
            start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            start.record()
            function()
            end.record()
            end.synchronize()
            return start.elapsed_time(end) / 1e3
        begin = time.perf_counter()
        function()
        return time.perf_counter() - begin

    once()
    times = [once()]
    while len(times) < 3 or sum(times) < seconds:
        times.append(once())
    return statistics.median(times)


def copy_time(num_bytes: int, device: str, seconds: float) -> float:
    """Time that a copy moves `num_bytes` in, half of them read and half written."""
    source = torch.empty(max(num_bytes // 2, 1), dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return median_time(lambda: target.copy_(source), device, seconds)


def size_in_bytes(*tensors: Tensor) -> int:
    return sum(t.numel() * t.element_size() for t in tensors)


def measure(name: str, op: Op, size: Size, dtype: torch.dtype, device: str, seconds: float, learned: bool) -> None:
    """Print one line for forward and one for backward."""
    context, weights, index = camera_points(size, dtype, device)
    inputs = [context.requires_grad_(), weights.requires_grad_()]
    if learned:
        inputs.append(index.requires_grad_())

    with torch.no_grad():
        forward = median_time(lambda: op(context, weights, index, size.zyx), device, seconds)
    out = op(context, weights, index, size.zyx)
    cotangent = torch.randn_like(out)
    backward = median_time(lambda: torch.autograd.grad(out, inputs, cotangent, retain_graph=True), device, seconds)
    moved = size_in_bytes(context, weights, index, out)
    for direction, elapsed, count in (
        ("forward", forward, moved),
        ("backward", backward, moved + size_in_bytes(*inputs)),
    ):
        roof = copy_time(count, device, seconds)
        print(
            f"{name:<28} {direction:<8} {elapsed * 1e3:9.3f} ms  {count / 1e6:8.1f} MB  "
            f"{count / elapsed / 1e9:8.2f} GB/s  {roof / elapsed:6.1%} of a copy"
        )


def main(op_name: str, op: Op, variants: Variants, *, learned: bool) -> None:
    """Command line of a benchmark.

    Args:
        op_name: title.
        op: the op as users call it.
        variants: other ways to compute it, measured beside.
        learned: measure the gradient of the index too.
    """
    parser = argparse.ArgumentParser(description=f"Benchmark of {op_name}.")
    parser.add_argument("--size", choices=SIZES, nargs="+", default=["toy", "bev"])
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--seconds", type=float, default=1.0, help="time spent on each measurement")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    name = torch.cuda.get_device_name() if args.device == "cuda" else f"CPU, {args.threads} threads"
    for key in args.size:
        size = SIZES[key]
        h, w = (side // size.stride for side in size.image)
        shape = f"B={size.batch} N={size.cameras} C={size.channels} D={size.bins} {h}x{w} -> ZYX {size.zyx}"
        print(f"\n{op_name}, {key}: {shape}, {args.dtype}, {name}, torch {torch.__version__}")
        kernel = runs_kernel(torch.empty(0, device=args.device))
        rows = {"kernel": op} if kernel else {}
        for label, function in (rows | {"reference": referenced(op)} | variants).items():
            measure(label, function, size, getattr(torch, args.dtype), args.device, args.seconds, learned)


def referenced(op: Op) -> Op:
    """The op by its reference."""

    def run(context: Tensor, weights: Tensor, index: Tensor, shape: tuple[int, int, int]) -> Tensor:
        with use_reference():
            return op(context, weights, index, shape)

    return run
