_base_ = [
    "../_base_/models/alocc_2d_mini_tiny.py",
    "../_base_/models/flow.py",
    "../_base_/datasets/sequence.py",
    "../_base_/schedules/overfit.py",
    "../_base_/profiles/corrected.py",
    "../_base_/runtime/default.py",
]
label_space = "OpenOcc"
bins = (-15.0, 15.0, 1.5)  # fewer than published: their scores would take most of the time of a step

model = dict(
    network=dict(head=dict(flow=dict(type="CostVolumeFlow", bins=bins, cost_channels=6, hidden_channels=16))),
    losses=[
        dict(type="VoxelCrossEntropy", weight=5.0),
        dict(type="LovaszSoftmax", weight=2.0, num_voxels=50000),
        dict(type="ImageSemanticsLoss", num_points=264),
        dict(type="DepthCrossEntropy", depth_bins={{_base_.depth_bins}}),
        dict(type="FlowLoss", bins=bins),
    ],
)
train_dataloader = dict(
    dataset=dict(labels=dict(type="OpenOccLabels", folder="openocc_v2", mask="rays"), depth=dict(semantics=True)),
)
val_dataloader = dict(dataset=dict(labels=dict(type="OpenOccLabels", folder="openocc_v2", mask="none")))
test_dataloader = val_dataloader
evaluation = dict(metrics=("miou", "flow"))
hooks = dict(flow_denoising=dict(type="FlowDenoisingSchedule", start=100, end=300))
