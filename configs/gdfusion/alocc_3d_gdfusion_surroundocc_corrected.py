"""For SurroundOcc: the motion of the lidar moves the volume, which lives in the frame of the lidar."""
_base_ = [
    "../_base_/models/alocc_3d_surroundocc.py",
    "../_base_/models/gdfusion.py",
    "../_base_/datasets/surroundocc_900x1600_stereo.py",
    "../_base_/schedules/gdfusion.py",
    "../_base_/profiles/corrected.py",
    "../_base_/runtime/default.py",
]
model = dict(network={{_base_.gdfusion}})
train_dataloader = dict(dataset=dict(depth=dict(semantics=True), sequences_split=1))
