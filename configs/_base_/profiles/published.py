"""What the published weights were trained with, quirks included (shared/spec/99-upstream-defects.md).

Every argument below is a defect that outputs depend on; its default is the correct behaviour.
"""

profile = dict(
    name="published",
    arguments=dict(
        # models
        ImagePreprocessor=dict(channel_order="bgr"),
        StereoCostVolume=dict(validity="zero_feature", pixel_anchor="corners", depth_anchor="edge"),
        DepthSplat=dict(pixel_anchor="corners", depth_anchor="edge"),
        HardPooling=dict(rounding="truncate"),
        SoftFilling=dict(anchor="corner"),
        ConcatHistory=dict(anchor="corner", warp_initial_copies=True),
        VoxelClassifier=dict(void_channel=True),
        VoxelCrossEntropy=dict(void_channel=True),
        PrototypeMaskHead=dict(void_channel=True),
        MaskLoss=dict(void_channel=True),
        ImageSemanticsLoss=dict(void_channel=True),
    ),
)
