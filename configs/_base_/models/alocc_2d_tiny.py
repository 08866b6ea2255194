"""ALOcc-2D with every width divided: it trains on two CPU cores within minutes."""

_base_ = ["alocc_2d.py"]
depth_bins = (1.0, 45.0, 1.0)
channels = 20
head_channels = 10

model = dict(
    network=dict(
        image_encoder=dict(
            backbone=dict(depth=18, base_channels=16, activation_checkpointing=False),
            neck=dict(in_channels=(64, 128), out_channels=64),
        ),
        view_transformer=dict(
            depth_bins=depth_bins,
            depth_net=dict(
                in_channels=64,
                mid_channels=64,
                context_channels=channels,
                pyramid_channels=16,
                activation_checkpointing=False,
            ),
        ),
        volume_stem=dict(channels=channels),
        temporal=dict(channels=channels, activation_checkpointing=False),
        volume_encoder=dict(
            in_channels=channels,
            widths=(12, 24, 48),
            depths=(1, 1, 1),
            strides=(1, 2, 2),
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
        dict(type="DepthCrossEntropy", depth_bins=depth_bins),
    ],
)
