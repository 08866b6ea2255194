"""ALOcc-2D: a bird's-eye view is filled, fused and encoded in the plane, then lifted to a volume."""
_base_ = ["alocc.py"]
bev_grid = dict(shape=(200, 200, 1))  # over the box of the labels
channels = 80

model = dict(
    network=dict(
        view_transformer=dict(grid=bev_grid, depth_net=dict(context_channels=channels)),
        volume_stem=dict(type="ResidualStem2d", channels=channels),
        temporal=dict(grid=bev_grid, channels=channels),
        volume_encoder=dict(
            type="BevEncoder",
            in_channels=channels,
            widths=(64, 128, 256, 512),
            depths=(1, 2, 4, 4),
            strides=(1, 2, 2, 2),
            fused_channels=256,
            out_channels=48,
            heights=16,
        ),
        head=dict(context_channels=channels),
    ),
)
