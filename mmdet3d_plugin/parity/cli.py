"""`check_parity.py GOLDEN --config STEM`: are the published models computed as published?"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch
from rich.console import Console

from ..errors import OccStudioError
from .forward import Comparison, compare_forward
from .losses import compare_losses
from .members import published_stems
from .processes import run_each
from .results import Recorder

_HEADER = f"{'frame':>5}  {'max error':>10} {'mean error':>10} {'gate':>9}        stage"


def main(arguments: list[str] | None = None) -> int:
    """Run the comparisons and print them.

    Returns:
        0 when every gate is met, 1 when one is missed, 2 when the comparison could not be made.
    """
    options = _parser().parse_args(arguments)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False  # too coarse for the gates
    console = Console(highlight=False, soft_wrap=True)
    try:
        if options.all:
            return _run_all(options, console)
        if options.out is not None:
            return _record(options)
        return _print_each(options, console)
    except OccStudioError as error:
        Console(stderr=True, highlight=False, soft_wrap=True).print(str(error), markup=False)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Compare every stage of our models with golden figures measured on the published ones. "
        "Errors are in units of the standard deviation of the tensor; losses and gradients are relative."
    )
    parser.add_argument("golden", type=Path, help="directory with manifests/, forward/ and losses/")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--config", nargs="+", metavar="STEM", help="names of published configs")
    which.add_argument(
        "--all", action="store_true", help="every published config in a process of its own, forward passes and losses"
    )
    parser.add_argument("--losses", action="store_true", help="losses and gradients of training instead")
    parser.add_argument(
        "--noise", type=int, metavar="SEED", help="with --losses: change the images by 1e-7, what float32 rounds"
    )
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="write FOLDER/STEM.json, forward passes and losses")
    parser.add_argument("--device", default="cpu", help="where to run (default: cpu)")
    return parser


def _run_all(options: argparse.Namespace, console: Console) -> int:
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.out or Path(scratch)
        return 0 if run_each(published_stems(options.golden), options.golden, folder, options.device, console) else 1


def _record(options: argparse.Namespace) -> int:
    """Write the results of configs to files; a config that fails does not hide the others."""
    results = [Recorder(Path(stem).stem, options.golden, options.device).run() for stem in options.config]
    for result in results:
        result.write(options.out)
    return 0 if all(result.passed for result in results) else 1


def _print_each(options: argparse.Namespace, console: Console) -> int:
    missed = total = 0
    for title, comparisons in _runs(options, [Path(stem).stem for stem in options.config]):
        console.print(f"[bold]{title}[/]\n{_HEADER}")
        for comparison in comparisons:
            console.print(_line(comparison))
            total += 1
            missed += not comparison.passed
    colour = "red" if missed else "green"
    console.print(f"[{colour}]{total - missed} of {total} comparisons pass their gate[/]")
    return 1 if missed or not total else 0


def _runs(options: argparse.Namespace, stems: Iterable[str]) -> Iterator[tuple[str, Iterator[Comparison]]]:
    for stem in stems:
        if options.losses:
            yield f"{stem}: losses and gradients", compare_losses(stem, options.golden, options.device, options.noise)
        else:
            yield f"{stem}: forward", compare_forward(stem, options.golden, options.device)


def _line(comparison: Comparison) -> str:
    if comparison.stage == "labels":
        equal, gate = (100 * (1 - share) for share in (comparison.worst, comparison.gate or 0))
        figures = f"{f'{equal:.4f} % equal':>21} {gate:>7.2f} %"
    else:
        gate_text = "-" if comparison.gate is None else f"{comparison.gate:.0e}"
        figures = f"{comparison.worst:10.2e} {comparison.mean:10.2e} {gate_text:>9}"
    verdict = "[green]ok  [/]" if comparison.passed else "[red]MISS[/]"
    return f"{comparison.frame:>5}  {figures}  {verdict}  {comparison.stage}"


if __name__ == "__main__":
    raise SystemExit(main())
