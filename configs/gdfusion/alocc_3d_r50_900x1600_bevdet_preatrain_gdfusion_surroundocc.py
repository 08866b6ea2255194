"""ALOcc-3D-GF for the box of SurroundOcc, with images of full size and a history, unlike its twin without."""
_base_ = [
    "../_base_/models/alocc_3d_surroundocc.py",
    "../_base_/models/gdfusion.py",
    "../_base_/datasets/surroundocc_900x1600_stereo.py",
    "../_base_/schedules/gdfusion.py",
    "../_base_/profiles/published.py",
    "../_base_/runtime/bevdet_pretrained.py",
]
model = dict(network={{_base_.gdfusion}})
train_dataloader = dict(dataset=dict(depth=dict(semantics=True), sequences_split=1))
