"""ALOcc-2D over the box of OpenOccupancy: a plane of 512 x 512 cells, lifted to 40 heights, depth up to 60 m."""
_base_ = ["alocc_2d.py"]
bev_grid = dict(shape=(512, 512, 1))  # over the box of the labels
depth_bins = (1.0, 60.0, 0.5)

model = dict(
    network=dict(
        view_transformer=dict(grid=bev_grid, depth_bins=depth_bins),
        temporal=dict(grid=bev_grid),
        volume_encoder=dict(heights=40),
    ),
    losses=[
        dict(type="MaskLoss"),
        dict(type="ImageSemanticsLoss"),
        dict(type="DepthCrossEntropy", depth_bins=depth_bins),
    ],
)
