"""The largest ALOcc: twice the channels, Swin-B on large images, lidar depth as an input. Published: 60.0 mIoU."""
_base_ = [
    "../_base_/models/alocc_3d_wide.py",
    "../_base_/datasets/occ3d_nuscenes_stereo_lidar.py",
    "../_base_/schedules/alocc_layer_decay.py",
    "../_base_/profiles/published.py",
    "../_base_/runtime/default.py",
]
load_from = "ckpts/geomim_swin_base.pth"  # Liu et al. 2023; any Swin-B with windows of 16 pixels loads
image_size = (512, 1408)

model = dict(
    network=dict(
        image_encoder=dict(
            backbone=dict(
                _delete_=True, type="SwinTransformer", out_stages=(0, 2, 3), activation_checkpointing=True
            ),
            neck=dict(in_channels=(512, 1024)),
        ),
        view_transformer=dict(depth_net=dict(lidar_depth=True)),
    ),
    losses=[
        dict(type="MaskLoss"),
        dict(type="ImageSemanticsLoss", num_points=3125),
        dict(type="DepthCrossEntropy", depth_bins={{_base_.depth_bins}}),
    ],
)
train_dataloader = dict(dataset=dict(image=dict(size=image_size), depth=dict(semantics=True)))
val_dataloader = dict(dataset=dict(image=dict(size=image_size)))
test_dataloader = val_dataloader
