"""What every run shares, and image weights from a BEVDet with stereo depth: backbone and neck (spec/01)."""
_base_ = ["default.py"]
load_from = "ckpts/bevdet-r50-4d-stereo-cbgs.pth"
