"""ALOcc-2D-GF with every class at its defaults. (What gamma and beta of the scene layer learn is kept.)"""
_base_ = [
    "../_base_/models/alocc_2d.py",
    "../_base_/models/gdfusion.py",
    "../_base_/datasets/occ3d_nuscenes_stereo.py",
    "../_base_/schedules/gdfusion.py",
    "../_base_/profiles/corrected.py",
    "../_base_/runtime/default.py",
]
model = dict(network={{_base_.gdfusion}})
train_dataloader = dict(dataset=dict(depth=dict(semantics=True), sequences_split=1))
