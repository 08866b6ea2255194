"""Compare the first steps of every family's training with golden curves, or record these:
python tools/analysis_tools/loss_curves.py [--record] [--steps N]
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from mmdet3d_plugin.datasets.synthetic import create_world
from mmdet3d_plugin.errors import OccStudioError
from mmdet3d_plugin.proofs.curves import CURVES, STEPS, read_curve, record_curve, require_equal

GOLDEN = Path(__file__).resolve().parents[2] / "tests" / "golden" / "curves"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=CURVES, metavar="NAME", help=f"of {', '.join(CURVES)}")
    parser.add_argument("--record", action="store_true", help="write the golden curves anew")
    parser.add_argument("--steps", type=int, default=STEPS, help="(default: %(default)s)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        world = create_world(Path(folder) / "world", "tiny")
        for name in options.names:
            golden = GOLDEN / f"{name}.json"
            try:
                curve = record_curve(name, world, Path(folder) / name, options.steps)
                if options.record:
                    golden.parent.mkdir(parents=True, exist_ok=True)
                    golden.write_text(json.dumps(curve, indent=1) + "\n")
                else:
                    require_equal(name, curve, read_curve(golden))
            except OccStudioError as error:
                print(error, file=sys.stderr)
                return 1
            print(f"{name}: {'recorded' if options.record else 'equal'}, loss {curve['losses']['loss'][-1]!r}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
