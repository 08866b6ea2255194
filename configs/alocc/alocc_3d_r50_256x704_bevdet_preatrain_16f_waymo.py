"""Five cameras of Waymo, 640 x 960 pixels, stereo, sixteen past volumes of twice the width."""
_base_ = [
    "../_base_/models/alocc_3d_waymo.py",
    "../_base_/datasets/occ3d_waymo_stereo.py",
    "../_base_/schedules/alocc_waymo.py",
    "../_base_/profiles/published.py",
    "../_base_/runtime/bevdet_pretrained.py",
]
