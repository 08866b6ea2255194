"""The four memories of GDFusion, for `model.network` of a config with stereo depth and a window of past volumes: the
geometry of every camera in the depth network; voxels, motion and scene instead of the window."""
gdfusion = dict(
    view_transformer=dict(depth_net=dict(geometry_fusion=dict(type="GeometryFusion"))),
    temporal=dict(
        type="GDFusion",
        voxel=dict(type="RecurrentFusion"),
        motion=dict(type="MotionField"),
        scene=dict(type="SceneAdapter"),
    ),
)
