"""ALOcc-2D that also predicts velocities, trained and scored on OpenOcc: 41.9 OccScore as published."""
_base_ = [
    "../_base_/models/alocc_2d.py",
    "../_base_/models/flow.py",
    "../_base_/datasets/openocc_stereo.py",
    "../_base_/schedules/alocc_flow.py",
    "../_base_/profiles/published.py",
    "../_base_/runtime/bevdet_pretrained.py",
]
model = dict(network=dict(head=dict(flow={{_base_.flow_head}})), losses={{_base_.flow_losses}})
train_dataloader = dict(dataset=dict(depth=dict(semantics=True)))
evaluation = dict(metrics=("miou", "flow"))
