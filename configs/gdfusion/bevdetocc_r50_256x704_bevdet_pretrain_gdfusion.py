"""BEVDetOcc-GF, hard pooling and a memory of four kinds. Published: 43.6 mIoU inside of the camera mask."""
_base_ = [
    "../_base_/models/bevdetocc.py",
    "../_base_/models/gdfusion.py",
    "../_base_/datasets/occ3d_nuscenes_stereo.py",
    "../_base_/schedules/bevdetocc_gdfusion.py",
    "../_base_/profiles/published.py",
    "../_base_/runtime/bevdet_pretrained.py",
]
model = dict(network={{_base_.gdfusion}})
train_dataloader = dict(dataset=dict(sequences_split=1))
