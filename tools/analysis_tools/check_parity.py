"""Compare with the published models: python tools/analysis_tools/check_parity.py GOLDEN --config STEM ..."""

import sys

from mmdet3d_plugin.parity.cli import main

if __name__ == "__main__":
    sys.exit(main())
