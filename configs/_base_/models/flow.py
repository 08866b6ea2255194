"""The flow branch of ALOcc's head and its losses, for a model config to take."""
velocity_bins = (-22.0, 22.0, 0.5)
flow_head = dict(type="CostVolumeFlow", bins=velocity_bins)
flow_losses = [
    dict(type="MaskLoss"),
    dict(type="ImageSemanticsLoss"),
    dict(type="DepthCrossEntropy", depth_bins=(1.0, 45.0, 0.5)),
    dict(type="FlowLoss", bins=velocity_bins),
]
