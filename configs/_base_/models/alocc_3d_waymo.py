"""ALOcc-3D for Waymo: depth up to 58 m, and no image semantics, as there are no classes of lidar points."""
_base_ = ["alocc_3d_wide.py"]
depth_bins = (1.0, 58.0, 0.5)

model = dict(
    network=dict(view_transformer=dict(depth_bins=depth_bins), head=dict(context_channels=None)),
    losses=[dict(type="MaskLoss"), dict(type="DepthCrossEntropy", depth_bins=depth_bins)],
)
