"""`check_parity.py GOLDEN --config STEM`: are the published models computed as published?"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import torch
from rich.console import Console

from ..errors import DataError, OccStudioError
from .forward import Comparison, compare_forward
from .losses import compare_losses
from .model import CONFIGS

_HEADER = f"{'frame':>5}  {'max error':>10} {'mean error':>10} {'gate':>9}        stage"


def main(arguments: list[str] | None = None) -> int:
    """Run the comparisons and print them.

    Returns:
        0 when every gate is met, 1 when one is missed, 2 when the comparison could not be made.
    """
    options = _parser().parse_args(arguments)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False  # too coarse for the gates
    console = Console(highlight=False, soft_wrap=True)
    missed = total = 0
    try:
        stems = shipped_stems(options.golden) if options.all else [Path(s).stem for s in options.config]
        for title, comparisons in _runs(options, stems):
            console.print(f"[bold]{title}[/]\n{_HEADER}")
            for comparison in comparisons:
                console.print(_line(comparison))
                total += 1
                missed += not comparison.passed
    except OccStudioError as error:
        Console(stderr=True, highlight=False, soft_wrap=True).print(str(error), markup=False)
        return 2
    colour = "red" if missed else "green"
    console.print(f"[{colour}]{total - missed} of {total} comparisons pass their gate[/]")
    return 1 if missed or not total else 0


def shipped_stems(golden: Path) -> list[str]:
    """Names of the configs that have golden figures, sorted.

    Raises:
        DataError: there are none.
    """
    configs = {path.stem for path in CONFIGS.glob("[!_]*/*.py")}
    stems = sorted(configs & {path.stem for path in (golden / "forward").glob("*.json")})
    if not stems:
        raise DataError(f"no golden figures in {golden}", expected="forward/STEM.json for a shipped config STEM")
    return stems


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Compare every stage of our models with golden figures measured on the published ones. "
        "Errors are in units of the standard deviation of the tensor; losses and gradients are relative."
    )
    parser.add_argument("golden", type=Path, help="directory with manifests/, forward/ and losses/")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--config", nargs="+", metavar="STEM", help="names of published configs")
    which.add_argument("--all", action="store_true", help="every shipped config, forward passes and losses")
    parser.add_argument("--losses", action="store_true", help="losses and gradients of training instead")
    parser.add_argument("--device", default="cpu", help="where to run (default: cpu)")
    return parser


def _runs(options: argparse.Namespace, stems: list[str]) -> Iterator[tuple[str, Iterator[Comparison]]]:
    for stem in stems:
        if options.all or not options.losses:
            yield f"{stem}: forward", compare_forward(stem, options.golden, options.device)
        if options.losses or (options.all and (options.golden / "losses" / f"{stem}.json").is_file()):
            yield f"{stem}: losses and gradients", compare_losses(stem, options.golden, options.device)


def _line(comparison: Comparison) -> str:
    if comparison.stage == "labels":
        equal, gate = (100 * (1 - share) for share in (comparison.worst, comparison.gate or 0))
        figures = f"{f'{equal:.4f} % equal':>21} {gate:>7.2f} %"
    else:
        gate_text = "-" if comparison.gate is None else f"{comparison.gate:.0e}"
        figures = f"{comparison.worst:10.2e} {comparison.mean:10.2e} {gate_text:>9}"
    verdict = "[green]ok  [/]" if comparison.passed else "[red]MISS[/]"
    return f"{comparison.frame:>5}  {figures}  {verdict}  {comparison.stage}"
