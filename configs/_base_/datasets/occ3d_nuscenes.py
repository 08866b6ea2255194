"""nuScenes with Occ3D labels, images of 256 x 704 pixels, augmented as published."""
label_space = "Occ3D-nuScenes"
grid = dict(lower=(-40.0, -40.0, -1.0), upper=(40.0, 40.0, 5.4), shape=(200, 200, 16))
image_size = (256, 704)

train_dataloader = dict(
    num_workers=4,
    dataset=dict(
        type="NuScenesOccDataset",
        root="data/nuscenes",
        version="v1.0-trainval",
        split="train",
        mode="train",
        labels=dict(type="Occ3DLabels", grid=grid, folder="gts", mask="camera"),
        image=dict(
            type="ImagePipeline",
            size=image_size,
            resize=(-0.06, 0.11),
            flip=0.5,
            rotation=0.09425,  # 5.4 degrees
        ),
        scene=dict(type="SceneAugmentation", flip_x=0.5, flip_y=0.5),
        depth=dict(type="DepthMaps", depth_range=(1.0, 45.0), semantics=False),
        load_adjacent=False,
        sequences_split=2,
    ),
)
val_dataloader = dict(
    num_workers=4,
    dataset=dict(
        type="NuScenesOccDataset",
        root="data/nuscenes",
        version="v1.0-trainval",
        split="val",
        mode="evaluate",
        labels=dict(type="Occ3DLabels", grid=grid, folder="gts"),
        image=dict(type="ImagePipeline", size=image_size),
        load_adjacent=False,
    ),
)
test_dataloader = val_dataloader
