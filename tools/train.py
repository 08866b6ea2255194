"""Train a model: python tools/train.py CONFIG [--work-dir DIR] [--resume] [--amp] [--cfg-options K=V ...]"""

import sys

from mmdet3d_plugin.cli import main

if __name__ == "__main__":
    sys.exit(main(["train", *sys.argv[1:]]))
