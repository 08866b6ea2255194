"""ALOcc-2D-mini on SurroundOcc with points placed in the box of the labels, and denoising that ends."""
_base_ = [
    "../_base_/models/alocc_2d_mini.py",
    "../_base_/datasets/surroundocc_900x1600.py",
    "../_base_/schedules/alocc_single_frame.py",
    "../_base_/profiles/corrected.py",
    "../_base_/runtime/default.py",
]
depth_bins = (1.0, 60.0, 1.0)

model = dict(
    network=dict(view_transformer=dict(depth_bins=depth_bins), temporal=dict(_delete_=True, type="NoFusion")),
    losses=[
        dict(type="MaskLoss"),
        dict(type="ImageSemanticsLoss"),
        dict(type="DepthCrossEntropy", depth_bins=depth_bins),
    ],
)
train_dataloader = dict(dataset=dict(depth=dict(semantics=True), sequences_split=None))
