"""ALOcc with a flow branch on the synthetic world: trains a few steps and reports OccScore within seconds."""

_base_ = [
    "../_base_/models/alocc_2d_mini_tiny.py",
    "../_base_/datasets/synthetic_openocc.py",
    "../_base_/schedules/synthetic.py",
    "../_base_/profiles/corrected.py",
    "../_base_/runtime/default.py",
]
bins = (-12.0, 12.0, 1.0)  # m/s

model = dict(
    network=dict(head=dict(flow=dict(type="CostVolumeFlow", bins=bins, cost_channels=6, hidden_channels=16))),
    losses=[
        dict(type="MaskLoss", num_points=6272),
        dict(type="VoxelCrossEntropy", weight=5.0),
        dict(type="ImageSemanticsLoss", num_points=264),
        dict(type="DepthCrossEntropy", depth_bins={{_base_.depth_bins}}),
        dict(type="FlowLoss", bins=bins),
    ],
)
train_cfg = dict(samples=4, global_batch=1, checkpoint_every=4)
train_dataloader = dict(num_workers=0, dataset=dict(depth=dict(semantics=True)))
val_dataloader = dict(num_workers=0)
test_dataloader = dict(num_workers=0)
evaluation = dict(metrics=("miou", "flow"), mode="corrected")  # a class that is never met costs 1 m/s
hooks = dict(
    log=dict(every=1),
    flow_denoising=dict(type="FlowDenoisingSchedule", start=2, end=4),
)
