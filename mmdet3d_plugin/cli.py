"""The command line `occstudio train | test | evaluate | ...`, and the wrapper that every tool runs in."""

from __future__ import annotations

import argparse
import errno
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import DictAction

from .config import load_config
from .errors import OccStudioError

_ENTRANT = ("method", "team", "authors", "email", "institution", "country")
_INTERRUPTED = 130  # 128 + SIGINT, as shells report it


def guard(command: Callable[[], int | None]) -> int:
    """Run a command; turn what a user can act on into a message and an exit status.

    Returns:
        0 or what the command returns; 1 after an :class:`OccStudioError` or a full disk; 130 after Ctrl-C.
        Every other exception is a defect of ours and keeps its traceback.
    """
    try:
        return command() or 0
    except OccStudioError as error:
        _say(f"error: {error}")
        return 1
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        _say(f"error: the disk is full: {error}\n  do this:  free space, then --resume: checkpoints are intact")
        return 1
    except KeyboardInterrupt:
        _say("interrupted: nothing half-written is left; the same command with --resume continues a training")
        return _INTERRUPTED


def _say(message: str) -> None:
    """Write to stderr. Of several processes with the same message, the launcher lets one live long enough."""
    number = int(os.environ.get("RANK", 0))
    if number:
        time.sleep(3.0)
        message = f"[process {number}] {message}"
    sys.stderr.write(f"{message}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of `occstudio`; returns the exit status."""
    return guard(lambda: _run(arguments))


def _run(arguments: Sequence[str] | None) -> int:
    parser = argparse.ArgumentParser(prog="occstudio", description="Camera-based 3D semantic occupancy")
    commands = parser.add_subparsers(dest="command", required=True)
    _add_train(commands.add_parser("train", help="train a model"))
    _add_test(commands.add_parser("test", help="score a checkpoint"))
    _add_evaluate(commands.add_parser("evaluate", help="score saved predictions, of whatever program"))
    _add_submit(commands.add_parser("submit", help="pack saved predictions for a challenge server"))
    _add_check(commands.add_parser("check-submission", help="say whether a server can score a submission"))
    _add_convert(commands.add_parser("convert", help="a checkpoint, also a published one, as .safetensors with a card"))
    _add_compare(commands.add_parser("compare", help="results side by side"))
    _add_demo(commands.add_parser("demo", help="make a world, train on it, score, draw a report"))
    _add_prove(commands.add_parser("prove", help="train toy models that must learn what a method is for"))
    _add_validate(commands.add_parser("validate", help="say whether labels, images and calibration fit together"))
    _add_doctor(commands.add_parser("doctor", help="say what this installation can do"))
    chosen = parser.parse_args(arguments)
    return chosen.run(chosen) or 0


def _add_config_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--cfg-options",
        nargs="+",
        action=DictAction,
        metavar="KEY=VALUE",
        help="override keys of the config, for example train_cfg.samples=100",
    )
    parser.add_argument(
        "--launcher", choices=("none", "pytorch", "slurm"), default="none", help="how processes are started"
    )


def _add_train(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", help="config file")
    parser.add_argument("--work-dir", help="for checkpoints and logs (default: work_dirs/<name of the config>)")
    parser.add_argument("--resume", action="store_true", help="continue from the newest checkpoint")
    parser.add_argument("--amp", action="store_true", help="forward pass in bfloat16")
    _add_config_options(parser)
    parser.set_defaults(run=_train)


def _add_test(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", help="config file")
    parser.add_argument("checkpoint", help=".pth or .safetensors file, checkpoint directory, or work directory")
    parser.add_argument("--metrics", nargs="+", help="miou, ray_iou, flow, challenge (default: those of the config)")
    parser.add_argument("--out", help="result file (default: work_dirs/<name of the config>/result.json)")
    parser.add_argument(
        "--save",
        nargs="?",
        const=True,
        metavar="DIR",
        help="write the predictions (default: a new folder predictions/<time> beside the result file)",
    )
    parser.add_argument("--shuffle-images", action="store_true", help="control: feed the images of another scene")
    _add_config_options(parser)
    parser.set_defaults(run=_test)


def _add_data_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--root", default="data/nuscenes", help="folder of the data set (default: %(default)s)")
    parser.add_argument("--version", default="v1.0-trainval", help="folder of its tables (default: %(default)s)")
    parser.add_argument("--split", default="val", help="(default: %(default)s)")


def _add_evaluate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("predictions", help="folder with <scene>/<token>.npz, labels uint8 [x, y, z] in `semantics`")
    _add_data_options(parser)
    parser.add_argument(
        "--labels",
        default="occ3d",
        help="annotation: occ3d, openocc, surroundocc, openoccupancy or occ3d-waymo (default: %(default)s)",
    )
    parser.add_argument("--metrics", nargs="+", default=["miou"], help="miou, ray_iou, flow, challenge (default: miou)")
    parser.add_argument("--mode", choices=("published", "corrected"), default="published", help="rules of the metrics")
    parser.add_argument("--workers", type=int, help="processes (default: one for each CPU)")
    parser.add_argument("--out", default="result.json", help="result file (default: %(default)s)")
    parser.set_defaults(run=_evaluate)


def _add_submit(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("predictions", help="folder as `evaluate` takes it; openocc needs flow")
    _add_format(parser)
    parser.add_argument("--out", required=True, help="file to write, .gz for openocc and .zip for occ3d")
    parser.add_argument("--workers", type=int, help="processes (default: one for each CPU)")
    entrant = parser.add_argument_group("who submits (openocc)")
    for name in _ENTRANT:
        entrant.add_argument(f"--{name}", nargs="+" if name == "authors" else None)
    parser.set_defaults(run=_submit)


def _add_check(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", help="submission of whatever program; a pickle is read without running code in it")
    _add_format(parser)
    parser.set_defaults(run=_check)


def _add_format(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--format", choices=("openocc", "occ3d"), required=True, help="what the server takes")
    _add_data_options(parser)


def _add_convert(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("checkpoint", help="published file, .pth file, checkpoint directory, or work directory")
    parser.add_argument("--config", required=True, help="config of the model")
    parser.add_argument("--out", required=True, metavar="FILE.safetensors", help="file to write; the card is FILE.md")
    parser.add_argument("--license", default="not stated", help="of the weights, for the card (default: %(default)s)")
    parser.add_argument("--force", action="store_true", help="replace files that exist")
    parser.set_defaults(run=_convert)


def _add_compare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("results", nargs="+", metavar="RESULT", help="result files (JSON)")
    parser.add_argument("--anyway", action="store_true", help="results of different protocols, in separate blocks")
    parser.set_defaults(run=_compare)


def _add_demo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--preset", choices=("tiny", "small", "learn"), default="small", help="how much")
    parser.add_argument("--work-dir", default="work_dirs/demo", help="for everything that the demo makes")
    parser.add_argument("--data-root", default="data/synthetic", help="where the world is, or is made")
    parser.set_defaults(run=_demo)


def _add_prove(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", nargs="*", metavar="NAME", help="(default: all; an unknown name lists them)")
    parser.add_argument("--work-dir", default="work_dirs/proofs", help="for trainings and results")
    parser.add_argument("--data-dir", default="data", help="synthetic worlds are made here (default: %(default)s)")
    parser.set_defaults(run=_prove)


def _add_validate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", help="config file whose training and test data are examined")
    parser.add_argument("--frames", type=int, default=6, help="compared of each (default: %(default)s)")
    parser.add_argument("--out", help="folder of the pictures (default: work_dirs/<name of the config>/validate)")
    parser.add_argument("--cfg-options", nargs="+", action=DictAction, metavar="KEY=VALUE", help="override keys")
    parser.set_defaults(run=_validate)


def _add_doctor(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--folder", default=".", help="where data/ and work_dirs/ are (default: here)")
    parser.set_defaults(run=_doctor)
    subjects = parser.add_subparsers(metavar="data", help="look at a data set instead of the installation")
    _add_doctor_data(subjects.add_parser("data", help="what of a data set is there, and whether it agrees"))


def _add_doctor_data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--root", default="data/nuscenes", help="folder of the data set (default: %(default)s)")
    parser.add_argument("--version", help="folder of its tables (default: every one)")
    parser.add_argument("--labels", nargs="+", metavar="NAME", help="annotations that must be there (default: any)")
    parser.add_argument("--out", default="work_dirs/doctor", help="folder for the picture (default: %(default)s)")
    parser.set_defaults(run=_doctor_data)


def _train(options: argparse.Namespace) -> None:
    from .engine import train
    from .engine.distributed import leave_processes

    cfg = load_config(options.config, options.cfg_options)
    work_dir = options.work_dir or Path("work_dirs") / Path(options.config).stem
    train(cfg, work_dir, resume=options.resume, amp=options.amp, launcher=options.launcher)
    leave_processes()


def _test(options: argparse.Namespace) -> None:
    from .engine import score_checkpoint
    from .engine.distributed import leave_processes

    cfg = load_config(options.config, options.cfg_options)
    name = "_".join(["result", *(options.metrics or []), *(["shuffled"] if options.shuffle_images else [])])
    score_checkpoint(
        cfg,
        options.checkpoint,
        options.out or Path("work_dirs") / Path(options.config).stem / f"{name}.json",
        metrics=options.metrics,
        save_dir=options.save,
        shuffle_images=options.shuffle_images,
        launcher=options.launcher,
    )
    leave_processes()


def _evaluate(options: argparse.Namespace) -> None:
    from .engine import score_predictions
    from .evaluation import format_result

    result = score_predictions(
        options.predictions,
        options.root,
        options.out,
        version=options.version,
        split=options.split,
        labels=options.labels,
        metrics=options.metrics,
        mode=options.mode,
        workers=options.workers,
    )
    sys.stdout.write(f"{format_result(result)}\nwritten to {options.out}\n")


def _submit(options: argparse.Namespace) -> None:
    from .engine.submit import write_submission
    from .evaluation.submission import Entrant

    named = {name: value for name in _ENTRANT if (value := getattr(options, name))}
    if "authors" in named:
        named["authors"] = tuple(named["authors"])
    count = write_submission(
        options.predictions,
        options.root,
        options.out,
        format=options.format,
        version=options.version,
        split=options.split,
        entrant=Entrant(**named) if named else None,
        workers=options.workers,
    )
    sys.stdout.write(f"{count} samples written to {options.out}\n")


def _check(options: argparse.Namespace) -> None:
    from .engine.submit import check_submission

    count = check_submission(
        options.file, options.root, format=options.format, version=options.version, split=options.split
    )
    sys.stdout.write(f"{options.file} is a complete {options.format} submission of {count} samples\n")


def _convert(options: argparse.Namespace) -> None:
    from .engine.convert import convert_checkpoint

    card = convert_checkpoint(
        load_config(options.config), options.checkpoint, options.out, license=options.license, force=options.force
    )
    dropped = sum(map(len, card["dropped"].values()))
    sys.stdout.write(f"{card['parameters']:,} parameters written to {options.out}; {dropped} keys not needed\n")


def _compare(options: argparse.Namespace) -> None:
    from .evaluation import compare_files

    sys.stdout.write(compare_files(options.results, anyway=options.anyway))


def _demo(options: argparse.Namespace) -> None:
    from .demo import run_demo

    run_demo(options.preset, options.work_dir, options.data_root)


def _prove(options: argparse.Namespace) -> None:
    from .proofs import PROOFS, prove

    prove(options.names or PROOFS, options.work_dir, options.data_dir)


def _validate(options: argparse.Namespace) -> int:
    from .engine.validate import validate

    out = options.out or Path("work_dirs") / Path(options.config).stem / "validate"
    findings = validate(load_config(options.config, options.cfg_options), Path(out), options.frames)
    problems = sum(finding.status == "PROBLEM" for finding in findings)
    rows = [(finding.status, finding.topic, finding.text) for finding in findings]
    _print_table(rows, f"problems in the data of {options.config}: {problems or 'none'}")
    return 1 if problems else 0


def _doctor(options: argparse.Namespace) -> int:
    from .engine.doctor import examine

    findings = examine(Path(options.folder))
    ready = all(finding.ok for finding in findings)
    _print_table(
        [("ok" if finding.ok else "PROBLEM", finding.topic, finding.text) for finding in findings],
        "the demo can run: make demo" if ready else "the demo cannot run until the problems are solved",
    )
    return 0 if ready else 1


def _doctor_data(options: argparse.Namespace) -> int:
    from .engine.data_doctor import examine_data

    findings = examine_data(options.root, options.labels, options.version, options.out)
    problems = sum(finding.status == "PROBLEM" for finding in findings)
    _print_table(
        [(finding.status, finding.topic, finding.text) for finding in findings],
        f"problems in {options.root}: {problems or 'none'}",
    )
    return 1 if problems else 0


def _print_table(rows: Sequence[tuple[str, str, str]], conclusion: str) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table: Any = Table(show_header=False, show_edge=False)
    for row in rows:
        table.add_row(*map(escape, row))
    console = Console()
    console.print(table)
    console.print(escape(conclusion))


if __name__ == "__main__":
    sys.exit(main())
