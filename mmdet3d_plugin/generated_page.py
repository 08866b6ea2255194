"""Tools that make a page of the documentation from result files, or say where it differs from them."""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Callable
from pathlib import Path

from .errors import OccStudioError


def write_or_check(make: Callable[[Path], str], description: str | None, results: str, page: str) -> int:
    """The command line of such a tool: `[--results FOLDER] [--out FILE] [--check]`.

    Args:
        make: folder of result files to page.
        description: for `--help`.
        results: default folder.
        page: default file of the page.

    Returns:
        exit status: 0; 1 when `--check` finds another page; 2 when a file cannot be read or written.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--results", default=results, help="folder of result files (default: %(default)s)")
    parser.add_argument("--out", default=page, help="the page (default: %(default)s)")
    parser.add_argument("--check", action="store_true", help="write nothing; print the lines of the page that differ")
    options = parser.parse_args()
    out = Path(options.out)
    try:
        made = make(Path(options.results))
        if not options.check:
            out.write_text(made, encoding="utf-8")
            return 0
        written = out.read_text(encoding="utf-8")
    except (OccStudioError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    names = options.out, f"made from {options.results}"
    lines = list(difflib.unified_diff(written.split("\n"), made.split("\n"), *names, lineterm="", n=0))
    sys.stdout.write("\n".join(lines or [f"{options.out} is what {options.results} gives"]) + "\n")
    return int(bool(lines))
