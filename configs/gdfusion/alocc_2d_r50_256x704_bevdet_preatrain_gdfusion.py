"""ALOcc-2D that remembers one map of 80 channels, two offsets per cell, a linear layer and the depth of every pixel,
instead of 16 maps. The published weights were trained without a pretrained depth network."""
_base_ = [
    "../_base_/models/alocc_2d.py",
    "../_base_/models/gdfusion.py",
    "../_base_/datasets/occ3d_nuscenes_stereo.py",
    "../_base_/schedules/gdfusion.py",
    "../_base_/profiles/published.py",
    "../_base_/runtime/default.py",
]
model = dict(network={{_base_.gdfusion}})
train_dataloader = dict(dataset=dict(depth=dict(semantics=True), sequences_split=1))
