"""As `lidar_depth`, with memories of voxels, motion and scene."""
_base_ = ["lidar_depth.py"]

model = dict(
    network=dict(
        temporal=dict(
            _delete_=True,
            type="GDFusion",
            channels={{_base_.channels}},
            grid={{_base_.bev_grid}},
            voxel=dict(type="RecurrentFusion"),
            motion=dict(type="MotionField"),
            scene=dict(type="SceneAdapter"),
        )
    )
)
# Along whole scenes, as in evaluation: memories that were trained on two frames at a time drift within eight.
train_dataloader = dict(dataset=dict(sequences_split=1))
