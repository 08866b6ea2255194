"""ALOcc-3D over the larger box of SurroundOcc: depth up to 60 m."""
_base_ = ["alocc_3d.py"]
depth_bins = (1.0, 60.0, 0.5)

model = dict(
    network=dict(view_transformer=dict(depth_bins=depth_bins)),
    losses=[
        dict(type="MaskLoss"),
        dict(type="ImageSemanticsLoss"),
        dict(type="DepthCrossEntropy", depth_bins=depth_bins),
    ],
)
