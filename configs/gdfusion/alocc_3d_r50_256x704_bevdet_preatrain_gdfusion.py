"""ALOcc-3D-GF, the best published model that sees cameras alone: 46.5 mIoU inside of the camera mask."""
_base_ = [
    "../_base_/models/alocc_3d.py",
    "../_base_/models/gdfusion.py",
    "../_base_/datasets/occ3d_nuscenes_stereo.py",
    "../_base_/schedules/gdfusion.py",
    "../_base_/profiles/published.py",
    "../_base_/runtime/bevdet_pretrained.py",
]
model = dict(network={{_base_.gdfusion}})
train_dataloader = dict(dataset=dict(depth=dict(semantics=True), sequences_split=1))
