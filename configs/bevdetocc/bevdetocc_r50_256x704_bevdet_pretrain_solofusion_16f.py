"""BEVDetOcc with a history of 16 frames: 41.9 mIoU as published."""
_base_ = [
    "../_base_/models/bevdetocc.py",
    "../_base_/datasets/occ3d_nuscenes_stereo.py",
    "../_base_/schedules/bevdetocc.py",
    "../_base_/profiles/published.py",
    "../_base_/runtime/bevdet_pretrained.py",
]
