"""Write docs/model_zoo.md from the result files: python tools/analysis_tools/model_zoo.py [--check]"""

from __future__ import annotations

import sys

from mmdet3d_plugin.evaluation.model_zoo import model_zoo_page
from mmdet3d_plugin.generated_page import write_or_check

if __name__ == "__main__":
    sys.exit(write_or_check(model_zoo_page, __doc__, "docs/results", "docs/model_zoo.md"))
