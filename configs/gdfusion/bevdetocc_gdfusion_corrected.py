"""BEVDetOcc-GF without quirks; what it pooled lies at the centres of voxels, also when it is warped."""
_base_ = [
    "../_base_/models/bevdetocc.py",
    "../_base_/models/gdfusion.py",
    "../_base_/datasets/occ3d_nuscenes_stereo.py",
    "../_base_/schedules/bevdetocc_gdfusion.py",
    "../_base_/profiles/corrected.py",
    "../_base_/runtime/default.py",
]
model = dict(network={{_base_.gdfusion}})
train_dataloader = dict(dataset=dict(sequences_split=1))
