"""Time of convolutions in space on a CPU with contiguous kernels, relative to channels last.

    python benchmarks/bench_narrow_convolutions.py [--channels 8 16 32] [--shape 16 200 200] [--threads 1]

The volume is contiguous in both cases, as it comes from lifting. Best of `--repeats`, both layouts in turn.
"""

from __future__ import annotations

import argparse
from time import perf_counter

import torch
from torch import nn

LAYOUTS = {"contiguous": torch.contiguous_format, "channels last": torch.channels_last_3d}


def seconds(channels: int, shape: list[int], layout: str) -> tuple[float, float]:
    """Forward and backward pass of one convolution, kernel 3 x 3 x 3, stride 1."""
    volume = torch.randn(1, channels, *shape, requires_grad=True)
    conv = nn.Conv3d(channels, channels, 3, padding=1, bias=False).to(memory_format=LAYOUTS[layout])
    start = perf_counter()
    out = conv(volume)
    middle = perf_counter()
    out.backward(torch.ones_like(out))
    return middle - start, perf_counter() - middle


def main() -> None:
    """Print one line for each number of channels."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--channels", type=int, nargs="+", default=[8, 12, 16, 32])
    parser.add_argument("--shape", type=int, nargs=3, default=[16, 200, 200], metavar=("Z", "Y", "X"))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    zyx = " x ".join(map(str, options.shape))
    print(f"float32, volume {zyx} (z, y, x), batch size 1, {options.threads} thread(s), torch {torch.__version__}")
    for channels in options.channels:
        best = {}
        for _ in range(1 + options.repeats):  # the first call also chooses the kernels
            for layout in LAYOUTS:
                times = seconds(channels, options.shape, layout)
                best[layout] = tuple(map(min, zip(times, best.get(layout, times))))
        forward, backward = (a / b for a, b in zip(best["contiguous"], best["channels last"]))
        print(f"{channels:3d} channels: contiguous takes {forward:.2f} x forward, {backward:.2f} x backward")


if __name__ == "__main__":
    main()
