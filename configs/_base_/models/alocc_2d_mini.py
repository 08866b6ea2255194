"""ALOcc-2D-mini: occlusion-aware depth, soft filling of a bird's-eye view, 16 past maps, one mask per class."""
bev_grid = dict(shape=(200, 200, 1))  # over the box of the labels
depth_bins = (1.0, 45.0, 1.0)
channels = 40
head_channels = 32

model = dict(
    type="OccupancyModel",
    preprocessor=dict(type="ImagePreprocessor"),
    network=dict(
        type="OccupancyNetwork",
        image_encoder=dict(
            type="ImageEncoder",
            backbone=dict(type="ResNet", depth=50, out_stages=(2, 3), activation_checkpointing=True),
            neck=dict(type="TopDownNeck", in_channels=(1024, 2048), out_channels=256),
        ),
        view_transformer=dict(
            type="DepthSplat",
            grid=bev_grid,
            depth_bins=depth_bins,
            depth_net=dict(
                type="CameraAwareDepthNet",
                in_channels=256,
                mid_channels=256,
                context_channels=channels,
                pyramid_channels=96,
                transfer=dict(type="IntraObjectTransfer", length=22),
                activation_checkpointing=True,
            ),
            lifting=dict(type="SoftFilling"),
        ),
        temporal=dict(
            type="ConcatHistory", channels=channels, grid=bev_grid, num_frames=16, activation_checkpointing=True
        ),
        volume_encoder=dict(
            type="BevEncoder",
            in_channels=channels,
            widths=(32, 64, 128),
            depths=(1, 2, 4),
            strides=(1, 2, 2),
            fused_channels=128,
            out_channels=head_channels,
            heights=16,
        ),
        head=dict(type="PrototypeMaskHead", in_channels=head_channels, context_channels=channels),
    ),
    losses=[
        dict(type="MaskLoss"),
        dict(type="ImageSemanticsLoss"),
        dict(type="DepthCrossEntropy", depth_bins=depth_bins),
    ],
)
