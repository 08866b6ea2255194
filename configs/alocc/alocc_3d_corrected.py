"""To train ALOcc-3D anew: voxels filled from their centres, RGB images, transfer between neighbouring depths."""
_base_ = [
    "../_base_/models/alocc_3d.py",
    "../_base_/datasets/occ3d_nuscenes_stereo.py",
    "../_base_/schedules/alocc.py",
    "../_base_/profiles/corrected.py",
    "../_base_/runtime/default.py",
]
train_dataloader = dict(dataset=dict(depth=dict(semantics=True)))
