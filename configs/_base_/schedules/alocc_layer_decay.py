"""The published schedule of ALOcc with Swin-B: learning rates that fall by 15 % per block towards the images."""
_base_ = ["alocc.py"]
optim_wrapper = dict(
    constructor="LayerDecay",
    paramwise_cfg=dict(decay=0.85),
    optimizer=dict(betas=(0.9, 0.999), weight_decay=0.05),
)
