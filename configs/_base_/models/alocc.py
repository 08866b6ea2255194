"""What ALOcc-2D and ALOcc-3D share: stereo depth, mass passed on behind surfaces and to other pixels, soft filling,
16 past volumes, one mask per class."""
depth_bins = (1.0, 45.0, 0.5)

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
            depth_bins=depth_bins,
            depth_net=dict(
                type="CameraAwareDepthNet",
                in_channels=256,
                mid_channels=256,
                pyramid_channels=96,
                stereo=dict(type="StereoCostVolume"),
                transfer=dict(type="IntraObjectTransfer", length=22),
                inter=dict(type="InterObjectTransfer"),
                activation_checkpointing=True,
            ),
            lifting=dict(type="SoftFilling"),
        ),
        temporal=dict(type="ConcatHistory", activation_checkpointing=True),
        head=dict(type="PrototypeMaskHead", in_channels=48),
    ),
    losses=[
        dict(type="MaskLoss"),
        dict(type="ImageSemanticsLoss"),
        dict(type="DepthCrossEntropy", depth_bins=depth_bins),
    ],
)
