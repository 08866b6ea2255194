"""ALOcc-2D-mini with every width divided: it trains on two CPU cores within minutes."""

_base_ = ["alocc_2d_mini.py"]
channels = 20
head_channels = 10

model = dict(
    network=dict(
        image_encoder=dict(
            # Features at an eighth of the images, a sixteenth in the published model: the images are half as large.
            backbone=dict(depth=18, out_stages=(1, 2), base_channels=16, activation_checkpointing=False),
            neck=dict(in_channels=(32, 64), out_channels=64),
        ),
        view_transformer=dict(
            depth_net=dict(
                in_channels=64,
                mid_channels=64,
                context_channels=channels,
                pyramid_channels=16,
                activation_checkpointing=False,
            ),
        ),
        temporal=dict(channels=channels, num_frames=2, activation_checkpointing=False),
        volume_encoder=dict(
            in_channels=channels,
            widths=(12, 24, 48),
            depths=(1, 1, 1),
            fused_channels=24,
            out_channels=head_channels,
        ),
        head=dict(in_channels=head_channels, context_channels=channels),
    ),
    losses=[
        dict(type="MaskLoss", num_points=6272),
        # Beside MaskLoss, so that classes emerge within a short training.
        dict(type="VoxelCrossEntropy", weight=5.0),
        dict(type="LovaszSoftmax", weight=2.0, num_voxels=50000),
        dict(type="ImageSemanticsLoss", num_points=264),
        dict(type="DepthCrossEntropy", depth_bins={{_base_.depth_bins}}),
    ],
)
