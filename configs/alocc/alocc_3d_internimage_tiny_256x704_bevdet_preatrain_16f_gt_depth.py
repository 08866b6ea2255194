"""ALOcc-3D on FlashInternImage-T, with lidar depth as an input. Published: 55.6 mIoU."""
_base_ = ["alocc_3d_r50_256x704_bevdet_preatrain_16f_gt_depth.py"]
load_from = "ckpts/flash_intern_image_t_1k_224.pth"

model = dict(
    network=dict(
        image_encoder=dict(
            backbone=dict(_delete_=True, type="InternImage", out_stages=(0, 2, 3), activation_checkpointing=True),
            neck=dict(in_channels=(256, 512)),
        )
    )
)
