"""ALOcc-2D-mini with every width divided: it trains on two CPU cores within minutes."""

bev_grid = dict(lower=(-40.0, -40.0, -1.0), upper=(40.0, 40.0, 5.4), shape=(200, 200, 1))
depth_bins = (1.0, 45.0, 1.0)
channels = 20
head_channels = 10

model = dict(
    type="OccupancyModel",
    preprocessor=dict(type="ImagePreprocessor"),
    network=dict(
        type="OccupancyNetwork",
        image_encoder=dict(
            type="ImageEncoder",
            backbone=dict(type="ResNet", depth=18, out_stages=(2, 3), base_channels=16),
            neck=dict(type="TopDownNeck", in_channels=(64, 128), out_channels=64),
        ),
        view_transformer=dict(
            type="DepthSplat",
            grid=bev_grid,
            depth_bins=depth_bins,
            depth_net=dict(
                type="CameraAwareDepthNet",
                in_channels=64,
                mid_channels=64,
                context_channels=channels,
                pyramid_channels=16,
                transfer=dict(type="IntraObjectTransfer", length=22),
            ),
            lifting=dict(type="SoftFilling"),
        ),
        temporal=dict(type="ConcatHistory", channels=channels, grid=bev_grid, num_frames=2),
        volume_encoder=dict(
            type="BevEncoder",
            in_channels=channels,
            widths=(12, 24, 48),
            depths=(1, 1, 1),
            strides=(1, 2, 2),
            fused_channels=24,
            out_channels=head_channels,
            heights=16,
        ),
        head=dict(type="PrototypeMaskHead", in_channels=head_channels, context_channels=channels),
    ),
    losses=[
        dict(type="MaskLoss", num_points=6272),
        dict(type="VoxelCrossEntropy", weight=5.0),  # rare classes emerge within hundreds of samples, not thousands
        dict(type="ImageSemanticsLoss", num_points=264),
        dict(type="DepthCrossEntropy", depth_bins=depth_bins),
    ],
)
