"""The synthetic world of `tools/create_data.py synthetic`, Occ3D labels, small images for training on a CPU."""
grid = dict(lower=(-40.0, -40.0, -1.0), upper=(40.0, 40.0, 5.4), shape=(200, 200, 16))
image_size = (128, 352)

train_dataloader = dict(
    num_workers=1,
    dataset=dict(
        type="NuScenesOccDataset",
        root="data/synthetic",
        version="v1.0-mini",
        split="train",
        mode="train",
        labels=dict(type="Occ3DLabels", grid=grid, folder="gts", mask="camera"),
        image=dict(
            type="ImagePipeline",
            size=image_size,
            resize=(-0.03, 0.055),  # relative to 352 of 1600 pixels: the same as published for 704
            flip=0.5,
            rotation=0.09425,  # 5.4 degrees
        ),
        scene=dict(type="SceneAugmentation", flip_x=0.5, flip_y=0.5),
        depth=dict(type="DepthMaps", depth_range=(1.0, 45.0), semantics=False),
        load_adjacent=False,
        sequences_split=1,
    ),
)
val_dataloader = dict(
    num_workers=1,
    dataset=dict(
        type="NuScenesOccDataset",
        root="data/synthetic",
        version="v1.0-mini",
        split="val",
        mode="evaluate",
        labels=dict(type="Occ3DLabels", grid=grid, folder="gts"),
        image=dict(type="ImagePipeline", size=image_size),
        load_adjacent=False,
    ),
)
test_dataloader = val_dataloader
