"""Occ3D-Waymo, images of 640 x 960 pixels, augmented as published; side images stand on the bottom of the input."""
label_space = "Occ3D-Waymo"
grid = dict(lower=(-40.0, -40.0, -1.0), upper=(40.0, 40.0, 5.4), shape=(200, 200, 16))
image_size = (640, 960)

train_dataloader = dict(
    num_workers=4,
    dataset=dict(
        type="WaymoOccDataset",
        root="data/waymo",
        split="train",
        mode="train",
        labels=dict(type="Occ3DWaymoLabels", grid=grid, folder="gts", mask="camera"),
        # Published: the factor 0.5 of images 1920 wide, plus -0.06 to 0.11; the range is for images 1600 wide.
        image=dict(type="ImagePipeline", size=image_size, resize=(-0.072, 0.132), flip=0.5, rotation=0.09425),
        scene=dict(type="SceneAugmentation", flip_x=0.5, flip_y=0.5),
        depth=dict(type="DepthMaps", depth_range=(1.0, 58.0), semantics=False),
        load_adjacent=False,
        sequences_split=2,
    ),
)
val_dataloader = dict(
    num_workers=4,
    dataset=dict(
        type="WaymoOccDataset",
        root="data/waymo",
        split="val",
        mode="evaluate",
        labels=dict(type="Occ3DWaymoLabels", grid=grid, folder="gts"),
        image=dict(type="ImagePipeline", size=image_size),
        load_adjacent=False,
    ),
)
test_dataloader = val_dataloader
