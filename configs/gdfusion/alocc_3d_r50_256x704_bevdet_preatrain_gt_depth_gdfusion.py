_base_ = [
    "alocc_3d_r50_256x704_bevdet_preatrain_gdfusion.py",
]
# Lidar returns enter where past and present geometry are mixed, and what is remembered.
model = dict(network=dict(view_transformer=dict(depth_net=dict(lidar_depth=True))))
train_dataloader = dict(dataset=dict(depth=dict(as_input=True)))
val_dataloader = dict(dataset=dict(depth=dict(type="DepthMaps", depth_range=(1.0, 45.0), as_input=True)))
test_dataloader = val_dataloader
