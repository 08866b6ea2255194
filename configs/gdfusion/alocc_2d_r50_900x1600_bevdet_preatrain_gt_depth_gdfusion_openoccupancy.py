_base_ = ["alocc_2d_r50_900x1600_bevdet_preatrain_gdfusion_openoccupancy.py"]
lidar = dict(type="DepthMaps", depth_range=(1.0, 60.0), as_input=True)
# Pixels with a return are lifted to where it is, in training and in tests.
model = dict(network=dict(view_transformer=dict(depth_net=dict(lidar_depth=True))))
train_dataloader = dict(dataset=dict(depth=dict(as_input=True)))
val_dataloader = dict(dataset=dict(depth=lidar))
test_dataloader = val_dataloader
