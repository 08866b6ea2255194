"""The published schedule of BEVDetOcc with GDFusion: no lidar depth in the lifting, history from the first step."""
_base_ = ["gdfusion.py"]
hooks = dict(denoising=None)
