"""BEVDetOcc with every width divided: it trains on two CPU cores within minutes."""

_base_ = ["bevdetocc.py"]
depth_bins = (1.0, 45.0, 1.0)
channels = 8

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
        volume_stem=dict(channels=channels, activation_checkpointing=False),
        temporal=dict(channels=channels, num_frames=2, activation_checkpointing=False),
        volume_encoder=dict(
            in_channels=channels,
            # Wide where the volume is coarse: there PyTorch computes less than 26 channels without oneDNN.
            widths=(8, 32, 64),
            depths=(1, 1, 1),
            out_channels=channels,
            activation_checkpointing=False,
        ),
        head=dict(in_channels=channels, hidden_channels=32),
    ),
    losses=[
        dict(type="VoxelCrossEntropy", weight=5.0),
        # Beside the cross entropy, so that classes emerge within a short training: most have less than two in a
        # thousand of the voxels.
        dict(type="SceneClassAffinity"),
        dict(type="LovaszSoftmax", weight=2.0, num_voxels=50000),
        dict(type="DepthBinaryCrossEntropy", depth_bins=depth_bins, weight=0.5),
    ],
)
