"""ALOcc-2D: depth from stereo, pixels that pass mass on to each other, a map of 80 channels encoded in the plane and
raised to 16 heights. Published: 44.8 mIoU within the camera mask, six images of 256 x 704 pixels."""
_base_ = [
    "../_base_/models/alocc_2d.py",
    "../_base_/datasets/occ3d_nuscenes_stereo.py",
    "../_base_/schedules/alocc.py",
    "../_base_/profiles/published.py",
    "../_base_/runtime/bevdet_pretrained.py",
]
train_dataloader = dict(dataset=dict(depth=dict(semantics=True)))
