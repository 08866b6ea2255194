"""Every quirk that published weights were trained with, by class (spec/99, spec/data/defects)."""
profile = dict(
    name="published",
    arguments=dict(
        # data
        NuScenesOccDataset=dict(key_frame="cam_front_ego"),  # F1: cameras in the ego frame of CAM_FRONT's time
        ImagePipeline=dict(resampling="pil", pixel_center=False),  # F14: no half-pixel terms in the matrices
        SurroundOccLabels=dict(noise="free", motion_frame="ego"),  # F8, A12: noise is free; ego motion, lidar volume
        OpenOccupancyLabels=dict(noise="free", motion_frame="ego"),
    ),
)
