"""ALOcc-2D-mini for new training: every class with its defaults, the smallest model with history to start from."""
_base_ = [
    "../_base_/models/alocc_2d_mini.py",
    "../_base_/datasets/occ3d_nuscenes.py",
    "../_base_/schedules/alocc.py",
    "../_base_/profiles/corrected.py",
    "../_base_/runtime/default.py",
]
train_dataloader = dict(dataset=dict(depth=dict(semantics=True)))
