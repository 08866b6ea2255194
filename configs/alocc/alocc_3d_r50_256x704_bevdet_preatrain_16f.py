"""ALOcc-3D, the volume variant: published with 45.5 mIoU inside of the camera mask."""
_base_ = [
    "../_base_/models/alocc_3d.py",
    "../_base_/datasets/occ3d_nuscenes_stereo.py",
    "../_base_/schedules/alocc.py",
    "../_base_/profiles/published.py",
    "../_base_/runtime/bevdet_pretrained.py",
]
train_dataloader = dict(dataset=dict(depth=dict(semantics=True)))
