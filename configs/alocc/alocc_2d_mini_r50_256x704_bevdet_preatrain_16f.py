"""ALOcc-2D-mini, one image per camera and no stereo: 41.4 mIoU, published."""
_base_ = [
    "../_base_/models/alocc_2d_mini.py",
    "../_base_/datasets/occ3d_nuscenes.py",
    "../_base_/schedules/alocc.py",
    "../_base_/profiles/published.py",
    "../_base_/runtime/bevdet_pretrained.py",
]
train_dataloader = dict(dataset=dict(depth=dict(semantics=True)))
