"""ALOcc-3D with twice the channels: for Waymo, and with large image backbones."""
_base_ = ["alocc_3d.py"]
channels = 64

model = dict(
    network=dict(
        view_transformer=dict(depth_net=dict(context_channels=channels)),
        volume_stem=dict(channels=channels),
        temporal=dict(channels=channels),
        volume_encoder=dict(in_channels=channels, widths=(64, 128, 256, 512), out_channels=channels),
        head=dict(in_channels=channels, context_channels=channels),
    ),
)
