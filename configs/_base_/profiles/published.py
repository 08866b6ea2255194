"""Every quirk that published weights were trained with, by class (spec/99, spec/data/defects)."""
profile = dict(
    name="published",
    arguments=dict(
        # models
        ImagePreprocessor=dict(channel_order="bgr"),  # A5: blue normalised with the statistics of red
        SwinTransformer=dict(shifted_windows=False),  # A17: windows never exchange information
        StereoCostVolume=dict(validity="zero_feature", pixel_anchor="corners", depth_anchor="edge"),  # A6, spec/02
        DepthSplat=dict(pixel_anchor="corners", depth_anchor="edge"),  # spec/02: frustum not at the cells' centres
        InterObjectTransfer=dict(neighbour_bins="clamped_to_cameras"),  # A1: depth bins bounded by the number of cameras
        HardPooling=dict(rounding="truncate"),  # A15: one voxel below the lower bounds is folded in
        SoftFilling=dict(anchor="corner"),  # A16: features shifted by half a voxel
        ConcatHistory=dict(anchor="corner", warp_initial_copies=True),  # A7, A8
        GDFusion=dict(anchor="corner"),  # A7
        MotionField=dict(rotate_offsets=False),  # spec/04: offsets keep their components when the axes turn or flip
        SceneAdapter=dict(remember_norm=False),  # A9: what gamma and beta learn is forgotten
        GeometryFusion=dict(  # spec/02, A11, spec/04: one-hot lidar among logits; seen is what is not exactly zero
            pixel_anchor="corners", depth_anchor="edge", lidar_memory="probabilities", visibility="nonzero"
        ),
        CostVolumeFlow=dict(anchor="corner", validity="zero_feature"),  # A7, A18: an offset without features costs more
        VoxelClassifier=dict(void_channel=True),  # channel 0 is a class that no label uses
        VoxelCrossEntropy=dict(void_channel=True),
        PrototypeMaskHead=dict(void_channel=True),
        MaskLoss=dict(void_channel=True),
        ImageSemanticsLoss=dict(void_channel=True),
        # data
        NuScenesOccDataset=dict(key_frame="cam_front_ego"),  # F1: cameras in the ego frame of CAM_FRONT's time
        WaymoOccDataset=dict(motion="side_right_to_front"),  # F10: SIDE_RIGHT's pose before, FRONT's now
        ImagePipeline=dict(resampling="pil", pixel_center=False),  # F14: no half-pixel terms in the matrices
        ImageHistory=dict(empty="repeat"),  # F11: without sweeps the past repeats the present, which is logged
        SurroundOccLabels=dict(noise="free", motion_frame="ego"),  # F8, A12: noise is free; ego motion, lidar volume
        OpenOccupancyLabels=dict(noise="free", motion_frame="ego"),
    ),
)
