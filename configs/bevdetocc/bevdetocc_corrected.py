"""BEVDetOcc for new training: features pooled by floor, images in RGB, costs of stereo matching by projection, volumes
warped about the centres of voxels."""
_base_ = [
    "../_base_/models/bevdetocc.py",
    "../_base_/datasets/occ3d_nuscenes_stereo.py",
    "../_base_/schedules/bevdetocc.py",
    "../_base_/profiles/corrected.py",
    "../_base_/runtime/default.py",
]
