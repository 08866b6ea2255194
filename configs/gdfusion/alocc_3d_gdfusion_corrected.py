"""Training ALOcc-3D-GF from scratch: no half-voxel shifts, and three components of motion that turn with the grid."""
_base_ = [
    "../_base_/models/alocc_3d.py",
    "../_base_/models/gdfusion.py",
    "../_base_/datasets/occ3d_nuscenes_stereo.py",
    "../_base_/schedules/gdfusion.py",
    "../_base_/profiles/corrected.py",
    "../_base_/runtime/default.py",
]
model = dict(network={{_base_.gdfusion}})
train_dataloader = dict(dataset=dict(depth=dict(semantics=True), sequences_split=1))
