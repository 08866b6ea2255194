"""Write docs/parity.md from the results of `make parity`: python tools/analysis_tools/parity_page.py [--check]"""

from __future__ import annotations

import sys

from mmdet3d_plugin.generated_page import write_or_check
from mmdet3d_plugin.parity.page import parity_page

if __name__ == "__main__":
    sys.exit(write_or_check(parity_page, __doc__, "docs/parity", "docs/parity.md"))
