"""One frame, depth from lidar where there are returns."""
_base_ = ["camera_depth.py"]
model = dict(network=dict(view_transformer=dict(depth_net=dict(lidar_depth=True))))
train_dataloader = dict(dataset=dict(depth=dict(as_input=True)))
val_dataloader = dict(dataset=dict(depth=dict(type="DepthMaps", depth_range=(1.0, 45.0), as_input=True)))
test_dataloader = val_dataloader
hooks = dict(denoising=None)
