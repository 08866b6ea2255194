"""Look at saved predictions: python tools/visual.py PREDICTIONS GROUND_TRUTH [--out FILE.html] ..."""

import sys

from mmdet3d_plugin.cli import guard
from mmdet3d_plugin.visualization.command import run

if __name__ == "__main__":
    sys.exit(guard(lambda: run(sys.argv[1:])))
