"""The published schedule of GDFusion on Waymo: as ALOcc's there, with history from the first step."""
_base_ = ["alocc_waymo.py"]
hooks = dict(history=None)
