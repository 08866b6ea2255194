"""ALOcc-3D on SurroundOcc: one frame of full size images, no history."""
_base_ = [
    "../_base_/models/alocc_3d_surroundocc.py",
    "../_base_/datasets/surroundocc_900x1600_stereo.py",
    "../_base_/schedules/alocc_single_frame.py",
    "../_base_/profiles/published.py",
    "../_base_/runtime/bevdet_pretrained.py",
]
model = dict(network=dict(temporal=dict(_delete_=True, type="NoFusion")))
train_dataloader = dict(dataset=dict(depth=dict(semantics=True), sequences_split=None))
