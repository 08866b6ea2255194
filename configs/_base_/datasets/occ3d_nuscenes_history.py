"""nuScenes with Occ3D labels and seven past images of each camera, augmented as SparseOcc was: all cameras alike."""
_base_ = ["occ3d_nuscenes.py"]
image_size = (256, 704)
history = dict(type="ImageHistory", frames=7)

train_dataloader = dict(
    dataset=dict(
        type="NuScenesHistoryDataset",
        history=history,
        image=dict(rotation=0.0, per_camera=False),
        scene=dict(rotation=0.3927),  # 22.5 degrees
        depth=None,
        sequences_split=None,  # samples have their own past: any order will do
    ),
)
val_dataloader = dict(dataset=dict(type="NuScenesHistoryDataset", history=history))
test_dataloader = val_dataloader
