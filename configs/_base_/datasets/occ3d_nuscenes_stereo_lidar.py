"""Occ3D on nuScenes with the images of the previous key frame, and the depth of lidar returns as an input."""
_base_ = ["occ3d_nuscenes_stereo.py"]

train_dataloader = dict(dataset=dict(depth=dict(as_input=True)))
val_dataloader = dict(dataset=dict(depth=dict(type="DepthMaps", depth_range=(1.0, 45.0), as_input=True)))
test_dataloader = val_dataloader
