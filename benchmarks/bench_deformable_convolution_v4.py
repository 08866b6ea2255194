"""Time of the deformable convolution of FlashInternImage-T, beside nine calls of `grid_sample`.

    python benchmarks/bench_deformable_convolution_v4.py [--size toy stage0 stage2] [--dtype bfloat16] [--device cuda]

Bytes are what the op must move at least, as in `lifting.py`: every input read and the output written once forward; all
of these and their gradients backward.
"""

from __future__ import annotations

import argparse

import torch
import torch.nn.functional as F
from lifting import copy_time, median_time, size_in_bytes
from torch import Tensor

# After `lifting`, which puts tests/ops on the path.
from deformable_cases import SIZES, random_samples  # isort: skip

from mmdet3d_plugin.ops import deformable_convolution_v4, use_reference
from mmdet3d_plugin.ops.backend import runs_kernel


def grid_samples(value: Tensor, offsets: Tensor, weights: Tensor) -> Tensor:
    """Every tap by `grid_sample`, whose coordinates from -1 to 1 are rounded more coarsely than pixels."""
    images, height, width, groups, taps = weights.shape
    maps = value.view(images, height, width, groups, -1).permute(0, 3, 4, 1, 2).flatten(0, 1)
    lines, columns = (torch.arange(n, device=value.device) for n in (height, width))
    out = torch.zeros_like(maps)
    for tap in range(taps):
        x = (columns + tap // 3 - 1)[:, None] + offsets[..., tap, 0]
        y = (lines + tap % 3 - 1)[:, None, None] + offsets[..., tap, 1]
        grid = torch.stack((2 * x / (width - 1) - 1, 2 * y / (height - 1) - 1), dim=-1)
        grid = grid.permute(0, 3, 1, 2, 4).flatten(0, 1).to(value.dtype)
        factor = weights[..., tap].permute(0, 3, 1, 2).flatten(0, 1)[:, None]
        out = out + factor * F.grid_sample(maps, grid, padding_mode="zeros", align_corners=True)
    return out.unflatten(0, (images, groups)).permute(0, 3, 4, 1, 2).flatten(3)


def referenced(value: Tensor, offsets: Tensor, weights: Tensor) -> Tensor:
    """The op by its reference."""
    with use_reference():
        return deformable_convolution_v4(value, offsets, weights)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Benchmark of deformable_convolution_v4.")
    parser.add_argument("--size", choices=SIZES, nargs="+", default=["toy", "stage0", "stage2"])
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--seconds", type=float, default=1.0, help="time spent on each measurement")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    name = torch.cuda.get_device_name() if args.device == "cuda" else f"CPU, {args.threads} threads"
    rows = {"reference": referenced, "nine grid_samples": grid_samples}
    if runs_kernel(torch.empty(0, device=args.device)):
        rows = {"kernel": deformable_convolution_v4} | rows
    for key in args.size:
        (images, height, width, channels), groups = SIZES[key]
        dtype = getattr(torch, args.dtype)
        samples = random_samples(images, height, width, groups, channels // groups, dtype=dtype)
        inputs = [tensor.to(args.device).requires_grad_() for tensor in samples]
        print(f"\n{key}: {images} x {height} x {width} x {channels}, {groups} groups, {args.dtype}, {name}")
        for label, op in rows.items():
            with torch.no_grad():
                forward = median_time(lambda op=op, inputs=inputs: op(*inputs), args.device, args.seconds)
            out = op(*inputs)
            cotangent = torch.randn_like(out)
            backward = median_time(
                lambda out=out, inputs=inputs, cotangent=cotangent: torch.autograd.grad(
                    out, inputs, cotangent, retain_graph=True
                ),
                args.device,
                args.seconds,
            )
            moved = size_in_bytes(*inputs, out)
            for direction, elapsed, count in (
                ("forward", forward, moved),
                ("backward", backward, moved + size_in_bytes(*inputs)),
            ):
                roof = copy_time(count, args.device, args.seconds)
                print(
                    f"{label:<20} {direction:<8} {elapsed * 1e3:9.3f} ms  {count / 1e6:8.1f} MB  "
                    f"{count / elapsed / 1e9:8.2f} GB/s  {roof / elapsed:6.1%} of a copy"
                )


if __name__ == "__main__":
    main()
