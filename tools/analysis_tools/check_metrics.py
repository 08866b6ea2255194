"""Compare the metrics with golden values: `python tools/analysis_tools/check_metrics.py FOLDER`."""

from __future__ import annotations

import argparse
import sys

import torch

from mmdet3d_plugin.errors import OccStudioError
from mmdet3d_plugin.evaluation.golden import run_golden


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", help="folder with golden.json and its npz files")
    folder = parser.parse_args().folder
    torch.set_num_threads(1)  # the steps of the reference caster are too short to share between threads
    missed = total = 0
    try:
        for case in run_golden(folder):
            total += 1
            missed += bool(case.problems)
            print(f"{'MISS' if case.problems else 'ok  '} {case.name} ({case.compared} values)", flush=True)
            for problem in case.problems:
                print(f"       {problem}")
    except OccStudioError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{total - missed} of {total} cases agree")
    return 1 if missed or not total else 0


if __name__ == "__main__":
    sys.exit(main())
