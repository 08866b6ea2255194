"""The finest grid of the zoo, 512 x 512 x 40 voxels of OpenOccupancy, predicted from a plane."""
_base_ = [
    "../_base_/models/alocc_2d_openoccupancy.py",
    "../_base_/models/gdfusion.py",
    "../_base_/datasets/openoccupancy_900x1600_stereo.py",
    "../_base_/schedules/gdfusion.py",
    "../_base_/profiles/published.py",
    "../_base_/runtime/default.py",
]
model = dict(network={{_base_.gdfusion}})
train_dataloader = dict(dataset=dict(depth=dict(semantics=True), sequences_split=1))
