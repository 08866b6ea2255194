"""BEVDetOcc: stereo depth, hard pooling, a window of 16 past volumes, 3-D convolutions, a classifier per voxel."""
volume_grid = dict(shape=(200, 200, 16))  # over the box of the labels
depth_bins = (1.0, 45.0, 0.5)
channels = 32

model = dict(
    type="OccupancyModel",
    preprocessor=dict(type="ImagePreprocessor"),
    network=dict(
        type="OccupancyNetwork",
        image_encoder=dict(
            type="ImageEncoder",
            backbone=dict(type="ResNet", depth=50, out_stages=(0, 2, 3), activation_checkpointing=True),
            neck=dict(type="TopDownNeck", in_channels=(1024, 2048), out_channels=256),
        ),
        view_transformer=dict(
            type="DepthSplat",
            grid=volume_grid,
            depth_bins=depth_bins,
            depth_net=dict(
                type="CameraAwareDepthNet",
                in_channels=256,
                mid_channels=256,
                context_channels=channels,
                pyramid_channels=96,
                stereo=dict(type="StereoCostVolume"),
                activation_checkpointing=True,
            ),
            lifting=dict(type="HardPooling"),
        ),
        volume_stem=dict(type="ResidualStem3d", channels=channels, activation_checkpointing=True),
        temporal=dict(
            type="ConcatHistory",
            channels=channels,
            grid=volume_grid,
            activation_checkpointing=True,
        ),
        volume_encoder=dict(
            type="VoxelEncoder3d",
            in_channels=channels,
            widths=(32, 64, 128),
            depths=(1, 2, 4),
            strides=(1, 2, 2),
            out_channels=channels,
            activation_checkpointing=True,
        ),
        head=dict(type="VoxelClassifier", in_channels=channels, hidden_channels=64),
    ),
    losses=[
        dict(type="VoxelCrossEntropy"),
        dict(type="DepthBinaryCrossEntropy", depth_bins=depth_bins, weight=0.05),
    ],
)
