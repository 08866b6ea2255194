"""Without the quirks of the published weights: ALOcc-2D with mass that pixels pass on around their own peak."""
_base_ = [
    "../_base_/models/alocc_2d.py",
    "../_base_/datasets/occ3d_nuscenes_stereo.py",
    "../_base_/schedules/alocc.py",
    "../_base_/profiles/corrected.py",
    "../_base_/runtime/default.py",
]
train_dataloader = dict(dataset=dict(depth=dict(semantics=True)))
