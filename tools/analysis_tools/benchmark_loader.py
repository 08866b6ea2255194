"""Measure how fast samples are loaded: python tools/analysis_tools/benchmark_loader.py CONFIG [--root DATA] ..."""

import sys

from mmdet3d_plugin.engine.loader_benchmark import main

if __name__ == "__main__":
    sys.exit(main())
