"""The published schedule of GDFusion on ALOcc: history from the first step, along whole sequences."""
_base_ = ["alocc.py"]
hooks = dict(history=None)
