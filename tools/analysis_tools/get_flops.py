"""Count operations: python tools/analysis_tools/get_flops.py CONFIG --modality image --shape 256 704"""

import sys

from mmdet3d_plugin.engine.flops import main

if __name__ == "__main__":
    sys.exit(main())
