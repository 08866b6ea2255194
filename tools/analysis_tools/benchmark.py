"""Measure the speed of a model: python tools/analysis_tools/benchmark.py CONFIG [CHECKPOINT] [--amp] ..."""

import sys

from mmdet3d_plugin.engine.benchmark import main

if __name__ == "__main__":
    sys.exit(main())
