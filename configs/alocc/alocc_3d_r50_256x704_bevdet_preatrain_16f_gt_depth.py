"""ALOcc-3D that also sees lidar: a pixel with a return is lifted at its depth. Published: 54.5 mIoU."""
_base_ = [
    "../_base_/models/alocc_3d.py",
    "../_base_/datasets/occ3d_nuscenes_stereo_lidar.py",
    "../_base_/schedules/alocc.py",
    "../_base_/profiles/published.py",
    "../_base_/runtime/bevdet_pretrained.py",
]
model = dict(network=dict(view_transformer=dict(depth_net=dict(lidar_depth=True))))
train_dataloader = dict(dataset=dict(depth=dict(semantics=True)))
