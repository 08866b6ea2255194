"""ALOcc-3D: a volume is filled, fused and encoded with 3-D convolutions."""
_base_ = ["alocc.py"]
volume_grid = dict(shape=(200, 200, 16))  # over the box of the labels
channels = 32

model = dict(
    network=dict(
        view_transformer=dict(grid=volume_grid, depth_net=dict(context_channels=channels)),
        volume_stem=dict(type="ResidualStem3d", channels=channels, activation_checkpointing=True),
        temporal=dict(grid=volume_grid, channels=channels),
        volume_encoder=dict(
            type="VoxelEncoder3d",
            in_channels=channels,
            widths=(32, 64, 128, 256),
            depths=(1, 2, 4, 4),
            strides=(1, 2, 2, 2),
            out_channels=48,
            activation_checkpointing=True,
        ),
        head=dict(context_channels=channels),
    ),
)
