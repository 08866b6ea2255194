"""Streams of Waymo, five cameras: a volume of 64 channels remembers what the window would need 10 GB for."""
_base_ = [
    "../_base_/models/alocc_3d_waymo.py",
    "../_base_/models/gdfusion.py",
    "../_base_/datasets/occ3d_waymo_stereo.py",
    "../_base_/schedules/gdfusion_waymo.py",
    "../_base_/profiles/published.py",
    "../_base_/runtime/bevdet_pretrained.py",
]
model = dict(network={{_base_.gdfusion}})
train_dataloader = dict(dataset=dict(sequences_split=1))
