"""ALOcc-3D with a flow branch: the volume variant of ALOccFlow. Published: 43.1 OccScore on OpenOcc."""
_base_ = [
    "../_base_/models/alocc_3d.py",
    "../_base_/models/flow.py",
    "../_base_/datasets/openocc_stereo.py",
    "../_base_/schedules/alocc_flow.py",
    "../_base_/profiles/published.py",
    "../_base_/runtime/bevdet_pretrained.py",
]
model = dict(network=dict(head=dict(flow={{_base_.flow_head}})), losses={{_base_.flow_losses}})
train_dataloader = dict(dataset=dict(depth=dict(semantics=True)))
evaluation = dict(metrics=("miou", "flow"))
