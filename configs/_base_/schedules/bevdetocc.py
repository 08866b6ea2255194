"""The published schedule of BEVDetOcc: as ALOcc's, without lidar depth in the lifting."""
_base_ = ["alocc.py"]
hooks = dict(denoising=None)
