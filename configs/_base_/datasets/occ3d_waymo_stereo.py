"""Occ3D-Waymo with the images of the previous key frame, for stereo depth."""
_base_ = ["occ3d_waymo.py"]

train_dataloader = dict(dataset=dict(load_adjacent=True))
val_dataloader = dict(dataset=dict(load_adjacent=True))
test_dataloader = val_dataloader
