"""Write docs/parity.md from the results of `make parity`: python tools/analysis_tools/parity_page.py [--check]"""

from __future__ import annotations

import argparse
import difflib
import sys
from pathlib import Path

from mmdet3d_plugin.errors import OccStudioError
from mmdet3d_plugin.parity.page import parity_page


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", default="docs/parity", help="folder of result files (default: %(default)s)")
    parser.add_argument("--out", default="docs/parity.md", help="the page (default: %(default)s)")
    parser.add_argument("--check", action="store_true", help="write nothing; print the lines of the page that differ")
    options = parser.parse_args()
    out = Path(options.out)
    try:
        page = parity_page(Path(options.results))
        if not options.check:
            out.write_text(page, encoding="utf-8")
            return 0
        written = out.read_text(encoding="utf-8")
    except (OccStudioError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    names = options.out, f"made from {options.results}"
    lines = list(difflib.unified_diff(written.split("\n"), page.split("\n"), *names, lineterm="", n=0))
    print("\n".join(lines) if lines else f"{options.out} is what {options.results} gives")
    return int(bool(lines))


if __name__ == "__main__":
    sys.exit(main())
