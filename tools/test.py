"""Score a checkpoint: python tools/test.py CONFIG CHECKPOINT [--metrics miou ray_iou] [--save [DIR]] ..."""

import sys

from mmdet3d_plugin.cli import main

if __name__ == "__main__":
    sys.exit(main(["test", *sys.argv[1:]]))
